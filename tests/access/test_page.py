"""docs/security.md holds the rights as the programs have them."""

import subprocess
import sys

from config.settings import ROOT


def test_the_page_is_as_the_lists_are():
    subprocess.run([sys.executable, ROOT / "docs" / "security_page.py", "--check"], check=True)
