"""What may be asked for, and the command: what makes no sense is one sentence."""

import json
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stream_app.sizing.demand import BOUNDS, DemandError, check, with_visits
from stream_app.sizing.plan import document, plan
from stream_app.sizing.text import shown
from tests.sizing.networks import BASE, COSTS


@pytest.mark.parametrize("option", BOUNDS)
def test_a_number_out_of_its_bounds_is_named_with_them(option):
    field, low, high = BOUNDS[option]
    for value in (low - 1, high * 2, math.nan, math.inf):
        with pytest.raises(DemandError, match=f"^{option} must be from .* to .*, not "):
            check(msgspec.structs.replace(BASE, **{field: value}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"memberships": 6}, "--groups-per-customer 6 are more than the groups that an operator has, --groups 5"),
        ({"largest": 0.005}, "--largest-operator 0.5 is less than the mean share of 100 operators, 1"),
        ({"partitions": 1}, "--partitions 1 are too few: 2 workers are needed, and each needs a partition"),
    ],
)
def test_numbers_that_contradict_each_other_are_one_sentence(change, sentence):
    with pytest.raises(DemandError) as raised:
        plan(msgspec.structs.replace(BASE, **change), COSTS)
    assert str(raised.value) == sentence


def test_more_than_kafka_may_have_is_a_sentence():
    with pytest.raises(DemandError, match="more than 65,535 partitions"):
        plan(msgspec.structs.replace(BASE, events_per_second=1e7, headroom=100.0), COSTS)


def test_visits_that_make_more_events_than_the_busiest_time_has_are_a_sentence():
    with pytest.raises(DemandError, match=r"more than --events-per-second 200\.0 at the busiest time"):
        with_visits(BASE, 1_000)
    for visits in (0, -1, math.nan, math.inf):
        with pytest.raises(DemandError, match="--visits-per-month must be above 0"):
            with_visits(BASE, visits)


def run(*arguments):
    """What the command prints, as it is typed."""
    program = Path(sys.executable).parent / "stream-app"
    return subprocess.run([program, "plan", *arguments], capture_output=True, text=True, check=False)


NETWORK = ["--operators", "100", "--customers", "1000000", "--events-per-second", "200"]


def test_the_command_prints_the_plan_for_people_and_for_programs():
    said, made = run(*NETWORK), plan(BASE, COSTS)
    assert (said.returncode, said.stdout.splitlines()) == (0, list(shown(made)))
    assert json.loads(run(*NETWORK, "--json").stdout) == json.loads(json.dumps(document(made)))


def test_nonsense_is_one_sentence_and_exit_code_1():
    for wrong, sentence in (
        (["--operators", "0"], "--operators must be from 1 to 10,000,000, not 0."),
        (["--visits-per-month", "3", "--peak", "2"], "--peak follows from --visits-per-month: leave one of them out."),
    ):
        done = run(*NETWORK, *wrong)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"stream-app plan: {sentence}\n")
