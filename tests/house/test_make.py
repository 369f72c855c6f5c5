"""The Makefile: what it offers and that it says so."""

import os
import re
import shutil
import subprocess

import pytest

from config.settings import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def test_help_lists_every_target_that_is_for_people():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    assert {line.split()[1] for line in done.stdout.splitlines()} == set(phony) - {"help", "chromium"} | {"help"}


def test_without_uv_and_python_make_says_what_to_install(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sed", "expand", "touch", "rm", "make"):
        (tools / tool).symlink_to(shutil.which(tool))
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["make", "up"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Python is missing: install Python 3.11 or 3.12.\n" in done.stderr


@pytest.mark.parametrize("operators", ["M1", "*"])
def test_make_token_prints_just_the_token(operators):
    done = subprocess.run(
        ["make", "token", f"ARGS=--operator {operators}"],
        cwd=ROOT,
        env={**os.environ, "STREAM_APP_JWT_SECRET": "a secret for tests that is long enough"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", done.stdout)
