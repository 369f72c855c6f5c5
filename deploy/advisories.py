"""The lock files against known advisories, by pip-audit: run by `make advisories`.

Ends with 0 where every pinned package was looked up and none is known to be vulnerable, with 1 where one is, and with 2
where some were not looked up: what nobody asked about must not pass for clean.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def main(locks: Sequence[Path], options: Sequence[str]) -> int:
    """Look up all packages of the lock files; `options` are those of pip-audit. The exit code."""
    worst = 0
    for lock in locks:
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
        command += ["--vulnerability-service", "osv", "--progress-spinner", "off", "--format", "json", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
        except ValueError:
            said = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
            print(f"{lock.name}: nothing was looked up, the advisories can't be reached: {said[-1]}", file=sys.stderr)
            worst = max(worst, 2)
            continue
        worst = max(worst, _told(lock.name, packages))
    return worst


def _told(lock: str, packages: Sequence[dict[str, Any]]) -> int:
    """Tell what is known of the packages of a lock file; the exit code."""
    skipped = [each for each in packages if "skip_reason" in each]
    known = [(each, advisory) for each in packages for advisory in each.get("vulns", ())]
    for each, advisory in known:
        fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
        print(f"{lock}: {each['name']} {each['version']}: {advisory['id']}, mended by {fixed}")
    for each in skipped:
        print(f"{lock}: {each['name']} was not looked up: {each['skip_reason']}", file=sys.stderr)
    print(f"{lock}: {len(packages) - len(skipped)} packages were looked up, {len(known)} advisories are known of them")
    return 1 if known else 2 if skipped or not packages else 0


if __name__ == "__main__":
    sys.exit(main([ROOT / lock for lock in LOCKS], sys.argv[1:]))
