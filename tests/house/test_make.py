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
    assert (
        "Python and uv are missing: install Python 3.11, 3.12, 3.13 or 3.14, or uv, which fetches one.\n" in done.stderr
    )


UV = """#!/bin/sh
echo "$*" >>{folder}/asked
case "$*" in
"python find"*) test -e {folder}/fetched && echo {folder}/fetched || exit 2 ;;
"python install"*) echo "$UV_PYTHON_DOWNLOADS $UV_PYTHON_INSTALL_DIR" >{folder}/how; {fetch} ;;
venv*) mkdir -p .venv/bin && touch .venv/made ;;
esac
"""


@pytest.fixture
def make_python(tmp_path):
    """`make .venv/python` in a new folder, by a stand-in for uv that finds no Python before it has fetched one, by this command."""

    def make(fetch):
        (uv := tmp_path / "uv").write_text(UV.format(folder=tmp_path, fetch=fetch))
        uv.chmod(0o755)
        shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["make", ".venv/python"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )

    return make


def test_where_no_python_fits_uv_fetches_one_into_the_checkout(make_python, tmp_path):
    done = make_python(f"touch {tmp_path}/fetched")
    assert done.returncode == 0, done.stderr
    assert "uv fetches one, into .run/python" in done.stderr
    assert (tmp_path / "how").read_text() == f"manual {tmp_path}/.run/python\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1] == f"venv --quiet --python {tmp_path}/fetched .venv"
    assert [line for line in asked if line.startswith("python install")] == ["python install --no-bin 3.13"]


def test_where_uv_can_fetch_none_make_says_what_to_install(make_python, tmp_path):
    done = make_python("exit 1")
    assert done.returncode == 2
    assert "uv could not fetch one: install one of them (Debian: apt-get install python3).\n" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_that_fits_is_taken_and_none_fetched(make_python, tmp_path):
    (tmp_path / "fetched").touch()
    assert make_python("exit 1").returncode == 0
    assert not (tmp_path / "how").exists()


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
