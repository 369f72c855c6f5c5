"""The Makefile: what it offers and that it says so."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

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

    def make(fetch, pythons=""):
        (uv := tmp_path / "uv").write_text(UV.format(folder=tmp_path, fetch=fetch))
        uv.chmod(0o755)
        shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["make", ".venv/python", f"PYTHONS={pythons}"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
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


def test_a_python_that_is_named_is_taken_before_those_that_uv_finds_if_it_fits(make_python, program, tmp_path):
    (tmp_path / "fetched").touch()
    (tmp_path / "broken-python3.10").touch()
    assert make_python("exit 1", f"{program('python3.10')} {program('python3.12')}").returncode == 0
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[-1] == f"venv --quiet --python {tmp_path}/bin/python3.12 .venv"


@pytest.fixture
def program(tmp_path):
    """Makes a stand-in for a program, which says what it was given and fails when told to, by a file broken-NAME."""
    (tmp_path / "bin").mkdir()

    def make(name):
        made = tmp_path / "bin" / name
        made.write_text(f'#!/bin/sh\necho "{name}: $*" | tee -a {tmp_path}/asked\ntest ! -e {tmp_path}/broken-{name}\n')
        made.chmod(0o755)
        return made

    return make


@pytest.fixture
def make_target(program, tmp_path):
    """Makes a target in a folder of its own, whose Python and uv are stand-ins."""
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    python, uv = program("python"), program("uv")

    def run(target, *words):
        done = [word for target in (".venv/development", "chromium", "javac", "npm") for word in ("-o", target)]
        command = ["make", *done, target, f"BIN={python.parent}", f"UV={uv}", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def make_test(make_target):
    return partial(make_target, "test")


@pytest.mark.parametrize("broken", ["", "ruff", "mypy", "python"])
def test_make_quick_runs_lint_types_and_the_pure_tests_and_fails_with_any_of_them(
    make_target, program, tmp_path, broken
):
    for name in ("ruff", "mypy"):
        program(name)
    if broken:
        (tmp_path / f"broken-{broken}").touch()
    assert make_target("quick").returncode == (2 if broken else 0)
    asked = sorted((tmp_path / "asked").read_text().splitlines())
    if broken == "ruff":
        assert asked == ["ruff: check"]
    else:
        python = r"python: -m pytest -q -n \d .* --pure tests"
        assert re.fullmatch(rf"mypy: \n{python}\nruff: check\nruff: format --check", "\n".join(asked))


def test_pytest_pure_leaves_out_what_starts_servers():
    """Whole rooms, and of the others tests that ask for a server."""
    command = [sys.executable, "-m", "pytest", "--pure", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run([*command, "tests/subscribers"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = [line.rpartition("::")[2] for line in listed.stdout.splitlines() if "::" in line]
    assert found == ["test_versions_are_pinned_and_are_those_that_are_run_here"]
    assert "(2 deselected)" in listed.stdout


def test_make_lock_pins_by_the_commands_that_the_lock_files_name(make_target, tmp_path):
    assert make_target("lock").returncode == 0
    asked = [line.replace("uv: ", "uv ").replace(" -q", "") for line in (tmp_path / "asked").read_text().splitlines()]
    files = [*ROOT.glob("requirements*.lock"), *(ROOT / "docs").rglob("requirements.txt")]
    assert len(files) == 6
    assert sorted(asked) == sorted(file.read_text().splitlines()[1].lstrip("# ") for file in files)


HOOKS = ["ruff: check --fix a.py", "ruff: format a.py", "mypy: ", "lint-imports: "]


def test_pre_commit_install_makes_a_commit_run_lint_types_and_imports(program, tmp_path):
    """Installed into a new repository, with stand-ins for the programs that it runs: a commit fails with any of them."""
    for name in ("ruff", "mypy", "lint-imports", "python"):
        program(name)
    repository, config = tmp_path / "repository", ROOT / ".pre-commit-config.yaml"
    (repository / ".venv").mkdir(parents=True)
    (repository / ".venv" / "bin").symlink_to(tmp_path / "bin")
    shutil.copy(config, repository)
    (repository / "a.py").touch()
    named = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | dict.fromkeys(named, "x")
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PRE_COMMIT_HOME": str(tmp_path / "home")}

    def run(*words):
        return subprocess.run(words, cwd=repository, env=env, capture_output=True, text=True, check=False)

    for words in (
        ["git", "init"],
        ["git", "add", "a.py", config.name],
        [Path(sys.executable).parent / "pre-commit", "install"],
    ):
        assert run(*words).returncode == 0
    (broken := tmp_path / "broken-mypy").touch()
    assert run("git", "commit", "--message", "x").returncode == 1
    broken.unlink()
    (tmp_path / "asked").unlink()
    assert run("git", "commit", "--message", "x").returncode == 0
    assert (tmp_path / "asked").read_text().splitlines() == HOOKS


def test_the_whole_says_first_how_long_it_takes_and_measures_it_when_it_passes(make_test, tmp_path):
    took = tmp_path / ".run" / "tests-took"
    (tmp_path / "broken-python").touch()
    done = make_test()
    assert done.returncode == 2
    assert re.match(r"All tests take \d+ minutes on 2 cores that do nothing else\n", done.stderr)
    assert not took.exists()
    (tmp_path / "broken-python").unlink()
    shared, alone = make_test().stdout.splitlines()
    assert re.fullmatch(r"python: -m pytest -n \d .* -m not alone", shared)
    assert alone == "python: -m pytest -m alone"
    measured = took.read_text()
    assert re.fullmatch(
        r"All tests took 0 min \d s when they passed here last, on 20\d\d-\d\d-\d\d, on \d+ cores\n", measured
    )
    assert make_test().stderr == measured


def test_a_part_of_the_tests_says_nothing_of_the_whole(make_test, tmp_path):
    done = make_test('ARGS=tests/sinks -k "redis or sql"')
    assert (done.stdout, done.stderr) == ("python: -m pytest tests/sinks -k redis or sql\n", "")
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
