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
    assert {line.split()[1] for line in done.stdout.splitlines()} == set(phony) - {"chromium", "javac", "npm"}


def test_without_uv_and_python_make_says_what_to_install(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sed", "expand", "touch", "rm", "make"):
        (tools / tool).symlink_to(shutil.which(tool))
    for name in ("Makefile", "requirements-extras.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["make", "up"], cwd=tmp_path, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Python is missing: install Python 3.11, 3.12 or 3.13.\n" in done.stderr


@pytest.fixture
def make_test(tmp_path):
    """`make test` in a folder whose pytest says what it was given, and fails when told to."""
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "pytest: $*"\ntest ! -e broken\n')
    python.chmod(0o755)

    def run(*words):
        done = [word for target in (".venv/development", "chromium", "javac", "npm") for word in ("-o", target)]
        command = ["make", *done, "test", f"BIN={python.parent}", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_the_whole_says_first_how_long_it_takes_and_measures_it_when_it_passes(make_test, tmp_path):
    took = tmp_path / ".run" / "tests-took"
    (tmp_path / "broken").touch()
    done = make_test()
    assert done.returncode == 2
    assert re.match(r"All tests take \d+ minutes on 2 cores that do nothing else\n", done.stderr)
    assert not took.exists()
    (tmp_path / "broken").unlink()
    shared, alone = make_test().stdout.splitlines()
    assert re.fullmatch(r"pytest: -m pytest -n \d .* -m not alone", shared)
    assert alone == "pytest: -m pytest -m alone"
    measured = took.read_text()
    assert re.fullmatch(
        r"All tests took 0 min \d s when they passed here last, on 20\d\d-\d\d-\d\d, on \d+ cores\n", measured
    )
    assert make_test().stderr == measured


def test_a_part_of_the_tests_says_nothing_of_the_whole(make_test, tmp_path):
    done = make_test('ARGS=tests/sinks -k "redis or sql"')
    assert (done.stdout, done.stderr) == ("pytest: -m pytest tests/sinks -k redis or sql\n", "")
    assert not (tmp_path / ".run").exists()


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
