"""A user without rights: `nobody` when the tests run as root, else who runs them.

Root's Python often lies where others may not look, so nobody gets a copy of it, with the packages of this checkout's .venv. The checkout itself must be
readable for others, and nothing in it is written.
"""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

from config.settings import ROOT
from tests.support.pages import type_line

UNWANTED = shutil.ignore_patterns("site-packages", "test", "idlelib", "__pycache__", "config-*", "*.a")


class Nobody:
    """Runs targets of make in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.chmod(0o755)
        self.run_folder = folder / "run"
        self.user = {}
        self.uid = os.getuid()
        if self.uid == 0:
            entry = pwd.getpwnam("nobody")
            self.uid = entry.pw_uid
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.programs = self._programs()
        self.checkout = folder / "checkout"  # what pages name of it
        self.checkout.mkdir()
        (self.checkout / "docs").symlink_to(ROOT / "docs")
        (self.checkout / ".run").symlink_to(self.run_folder)
        own = folder / "home"
        own.mkdir()
        self.run_folder.mkdir()
        for path in (own, self.run_folder):
            os.chown(path, self.uid, -1)

    def _programs(self) -> Path:
        """Python and stream-app, as .venv/bin has them: of an environment, since a distribution's Python has packages in places of its own otherwise."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        home, environment = self.folder / "python", self.folder / "environment"
        shutil.copytree(Path(sys.base_prefix) / "lib" / version, home / "lib" / version, ignore=UNWANTED)
        for library in Path(sys.base_prefix, "lib").glob("libpython*"):
            shutil.copy(library, home / "lib")
        packages = next(Path(sys.prefix, "lib").glob("python*/site-packages"))
        (home / "bin").mkdir()
        shutil.copy(Path(sys.base_prefix, "bin", version), home / "bin" / "python")
        own, programs = environment / "lib" / version / "site-packages", environment / "bin"
        own.mkdir(parents=True)
        (own / "checkout.pth").write_text(f"import site; site.addsitedir({str(packages)!r})\n")
        programs.mkdir()
        (environment / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\n")
        (programs / "python").symlink_to(home / "bin" / "python")
        program = (Path(sys.prefix) / "bin" / "stream-app").read_text().split("\n", 1)[1]
        (programs / "stream-app").write_text(f"#!{programs / 'python'}\n{program}")
        (programs / "stream-app").chmod(0o755)
        return programs

    def make(self, *arguments, **env):
        """(exit code, what it said)."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")}
        done = subprocess.run(
            ["make", f"BIN={self.programs}", *arguments],
            cwd=ROOT,
            env=inherited | self._names() | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
            **self.user,
        )
        return done.returncode, done.stdout

    def type(self, line, **env):
        """Type a line of a page where the checkout is; what it said."""
        done = type_line(line, self._names() | env, self.checkout, self.programs, **self.user)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _names(self):
        names = {"STREAM_APP_RUN": str(self.run_folder), "HOME": str(self.folder / "home")}
        return names | {"LD_LIBRARY_PATH": str(self.folder / "python" / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
