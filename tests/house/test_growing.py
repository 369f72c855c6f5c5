"""The lists of CONTRIBUTING.md are complete: a copy of the checkout in which they were done passes what the house asks for."""

import sys

import pytest

from tests.support.growing import LISTS, Copy, changed, steps

CHECKS = (
    "house/test_settings.py",
    "house/test_dashboard_figures.py",
    "partition/test_positions.py",
    "sources/test_registry.py",
    "oracle_room/test_oracle.py",
    "simulation/test_exact.py::test_any_permutation_duplication_and_batching_equals_the_oracle_at_every_tick",
)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A copy in which all three lists were done."""
    copy = Copy(tmp_path_factory.mktemp("grown"))
    for heading in LISTS:
        copy.do(heading)
    copy.write_docs()
    return copy


@pytest.mark.parametrize("heading", LISTS)
def test_a_list_names_each_file_once_and_few_of_the_product(heading):
    files = [step.file for step in steps(heading)]
    assert len(files) == len(set(files))
    assert len([file for file in files if file.startswith(("stream_app/", "config/", "agents/", "tables/"))]) <= 4


def test_a_hunk_that_stands_nowhere_or_twice_is_refused():
    assert changed("a\nb\nc\n", " a\n-b\n+d\n+e\n@@\n c\n+f\n") == "a\nd\ne\nc\nf\n"
    for diff in ("-x\n", " a\n c\n", "-b\n", "+y\n"):
        with pytest.raises(AssertionError, match="times"):
            changed("a\nb\nc\nb\n", diff)


def test_the_copys_modules_are_those_that_run(grown):
    said = grown.python(
        "import config, stream_app, tables; print(config.__file__, stream_app.__file__, tables.__file__)"
    )
    assert said.split() == [str(grown.root / room / "__init__.py") for room in ("config", "stream_app", "tables")]


def test_a_grown_copy_is_clean_to_ruff(grown):
    grown.run(sys.executable, "-m", "ruff", "check", "--no-cache")
    grown.run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache")


def test_a_grown_copy_passes_the_tests_of_what_was_added_to(grown):
    """Among them the one that the product equals the oracle in any order of records, with the figure in both."""
    paths = [f"tests/{check}" for check in CHECKS]
    grown.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pure", *paths)
