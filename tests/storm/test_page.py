"""What runs found stands in the page, between markers, and what people wrote around them stays."""

import pytest

from tests.storm import page
from tests.storm.brokers import Loss, Losses
from tests.storm.kills import Kill, Kills
from tests.storm.overload import Look, Overload
from tests.storm.storm import Found, Plan, Recovery

FOUND = Found(
    Plan(7, 600.0, 40.0, ("worker killed",)),
    sent=24_000, compared=150_000, versions=9000, versions_compared=1500,
    reads={"redis": 5, "clickhouse": 4, "http": 3},
    composed=40, composed_mixed=2,
    recoveries=[Recovery("worker killed", True, 2.5, 4.0), Recovery("worker killed", True, None, 130.0)],
    incidents=["worker-1 ended by itself"],
    wrong={"outputs": [], "versions": ["one"], "seen by readers": ["Redis a: 2, then 1", "HTTP b: two contents of version 3"]},
)  # fmt: skip
KILLS = Kills(3, [Kill(5.0, 400, 400, 400), Kill(7.0, 800, 799, 800), Kill(None, 1200, 1200, 1200)])
LOOKS = [Look(n * 60.0, 1000 * n, 900 * n, 6.0 * n, 300.0 + n, 0) for n in range(1, 21)]


LOSSES = Losses(
    [
        Loss("none", 15.0, 0.6, 0.0, 0.25, 0, 0),
        Loss("broker 1 killed", 60.0, 13.4, 14.0, 0.3, 9, 1),
        Loss("all killed", 60.0, 15.4, 16.0, 0.3, 9, 0, 7.5),
        Loss("broker 1 restarted in order", 20.0, 3.4, 0.0, 0.3, 9, 0, 6.0),
    ],
    900,
    899,
)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The page after these runs."""
    sheet = tmp_path / "page.md"
    sheet.write_text(page.PAGE.read_text())
    monkeypatch.setattr(page, "PAGE", sheet)
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results")
    page.keep("storm-7", FOUND)
    page.keep("brokers", LOSSES)
    page.keep("kills", KILLS)
    page.keep("overload", Overload(LOOKS, 12.0, 20_000, 20_000, 20_000))
    page.write()
    page.write()
    return sheet.read_text()


def test_a_storm_is_a_row_of_its_seed_and_its_faults_rows_of_their_kinds(written):
    assert "| 7 | 600 | 2 | 24,000 | 150,000 | 0 | 9,000 | 1,500 | 2 | 1 | 40 | 2 | 1 |" in written
    assert "| worker killed | 2 | not within 300 s | not within 300 s | 130.0 s |" in written


def test_lost_brokers_are_rows_of_their_cases_and_what_was_wrong_is_said(written):
    assert "| none | 0.6 s | never old |  |  | 0.25 | 0 |" in written
    assert "| broker 1 killed | 13.4 s | 14.0 s |  |  | 0.30 | 9 |" in written
    assert "| all killed | 15.4 s | 16.0 s | 7.5 s | 8.5 s | 0.30 | 9 |" in written
    assert "| broker 1 restarted in order | 3.4 s | never old | 6.0 s | 0.0 s | 0.30 | 9 |" in written
    assert "900 payments sent, 899 counted; 1 processes ended." in written
    assert LOSSES.wrong == ["broker 1 killed: 1 processes ended", "900 payments sent, 899 counted"]


def test_kills_are_summed_up_and_what_was_wrong_is_said(written):
    assert "| 3 | 3 | 1,200 | 2 | 7.0 s | 300.0 s |" in written


def test_an_overload_is_told_in_five_looks(written):
    assert "| 1 min | 1,000 | 900 | 6.0 s | 301 MB |" in written
    assert "| 20 min | 20,000 | 18,000 | 120.0 s | 320 MB |" in written
    assert "305 MB, 310 MB, 315 MB, 320 MB" in written
    assert "older than 15 s: 18 of 20." in written


def test_what_people_wrote_stays(written):
    before = page.ROOT / "docs" / "reliability.md"
    for line in before.read_text().splitlines():
        if line.startswith(("#", "<!--")):
            assert written.count(f"{line}\n") == 1


def test_an_overload_that_the_worker_could_follow_or_that_lost_something_is_none():
    calm = [look._replace(sent=look.shown, age_s=1.0) for look in LOOKS]
    assert Overload(LOOKS, 1.0, 20_000, 20_000, 20_000).wrong == []
    growing = [look._replace(memory_mb=300 + look.seconds / 10) for look in LOOKS]
    assert "memory grew from 360 to 420 MB" in Overload(growing, 1.0, 20_000, 20_000, 20_000).wrong[0]
    assert len(Overload(calm, 1.0, 20_000, 20_000, 20_000).wrong) == 1
    assert len(Overload(LOOKS, 1.0, 20_000, 19_999, 20_000).wrong) == 1
    assert len(Overload([*LOOKS, LOOKS[-1]._replace(missing=3)], 1.0, 20_000, 20_000, 20_000).wrong) == 1
