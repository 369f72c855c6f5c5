"""How the library is compiled and found: with whichever compiler there is, and without it all works."""

import logging
import shutil
import subprocess
import sys

import pytest

from config.settings import ROOT
from stream_app.kernel import build, library
from stream_app.kernel.source_records import new_reader

COMPILER = ROOT / ".run" / "compiler"  # where `make` puts one on a machine that has no `cc`


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the sources alone, in place of the package's, without a library."""
    for source in [*library.FOLDER.glob("*.c"), *library.FOLDER.glob("*.h")]:
        shutil.copy(source, tmp_path)
    for module in (library, build):
        monkeypatch.setattr(module, "FOLDER", tmp_path)
    library.load.cache_clear()
    yield tmp_path
    library.load.cache_clear()


def test_it_is_compiled_once_and_loaded(folder):
    assert build.main([str(COMPILER)]) == 0
    first = library.path().stat()
    assert build.main([str(COMPILER)]) == 0
    assert library.path().stat() == first
    assert new_reader() is not None


def test_without_it_one_sentence_says_what_that_costs(folder, caplog):
    with caplog.at_level(logging.WARNING):
        assert new_reader() is None
        assert new_reader() is None
    (line,) = caplog.messages
    assert library.SLOWER in line


@pytest.mark.parametrize("name", ["upserts.c", "msgpack.h"])
def test_a_library_of_another_source_is_not_loaded_and_goes(folder, name):
    """What it does may differ."""
    assert build.main([str(COMPILER)]) == 0
    before = library.path()
    with (folder / name).open("a") as source:
        source.write("/* changed */\n")
    assert new_reader() is None
    assert build.main([str(COMPILER)]) == 0
    assert not before.exists()
    assert library.path().exists()


def test_a_library_that_cannot_be_loaded_is_as_none(folder, caplog):
    """Of another machine, say."""
    library.path().write_bytes(b"not a library")
    assert new_reader() is None
    assert "invalid ELF header" in caplog.text or "file too short" in caplog.text


def test_without_a_compiler_a_sentence_says_so(folder, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    assert build.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("No C compiler is there")


def test_the_compiler_of_a_package_is_taken_where_there_is_no_other(folder, tmp_path, monkeypatch):
    """A stand-in under its name, which hands on what it is asked for."""
    command = build.compiler(COMPILER)
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    zig = tmp_path / "compiler" / "ziglang" / "zig"
    zig.parent.mkdir(parents=True)
    zig.write_text(f'#!/bin/sh\n[ "$1 $2" = "cc -mcpu=baseline" ] && shift 2 && exec {" ".join(command)} "$@"\n')
    zig.chmod(0o755)
    assert build.main([str(tmp_path / "compiler")]) == 0
    assert new_reader() is not None


@pytest.mark.parametrize("source", library.sources(), ids=lambda source: source.name)
def test_no_compiler_warns(source):
    """Of what a reader of the source may trip over."""
    command = [
        *build.compiler(COMPILER),
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-c",
        "-o",
        "/dev/null",
    ]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_compiler_that_fails_leaves_nothing_behind(folder, capsys):
    before = sorted(folder.iterdir())
    (folder / "upserts.c").write_text("int main(")
    assert build.main([str(COMPILER)]) == 1
    assert "error" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_the_command_of_make_builds_it():
    """In this checkout, where it is built already: nothing to say."""
    done = subprocess.run([sys.executable, "-m", "stream_app.kernel.build"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert library.path().exists()
