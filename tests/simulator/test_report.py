"""The demo's report: every figure and every slot that the interface answers, and nothing cut off."""

from rich.console import Console

from stream_app.api.description.examples import table_example
from stream_app.domain.figures import FIGURES
from stream_app.domain.tables import HALF_HOUR, MONTHLY
from stream_app.simulator.report import answer_report, groups_line, heading, width_of
from tests.support.added_tables import DAILY, WEEKDAY


def printed(table, answer, width=80):
    """What is printed of an answer on a terminal of this width."""
    parts = answer_report(table, "Stadtwerke [b]", answer)
    console = Console(width=max(width, width_of(parts)), color_system=None)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def answer_of(table):
    return table_example(table)["data"]


def cells(text, period):
    """Of the lines that begin with a period, the words."""
    return [line.split() for line in text.splitlines() if line.strip().startswith(period)]


def test_every_figure_stands_in_a_table_of_its_basis_and_none_is_cut_off():
    answer = answer_of(MONTHLY)
    answer["months"] = [answer["months"][0] | {"receivedAmount": "123456789012345.50", "energyKwh": "98765432109.125"}]
    text = printed(MONTHLY, answer)
    rows = cells(text, "2026-06")
    bases = list(dict.fromkeys(figure.basis for figure in FIGURES))
    assert [row[1:] for row in rows] == [
        [str(answer["months"][0][figure.name]) for figure in FIGURES if figure.basis is basis] for basis in bases
    ]
    assert "…" not in text
    assert "Stadtwerke [b] (M1), ALL: payments in EUR, months of Europe/Berlin" in text
    assert "Stadtwerke [b] (M1), ALL: sessions, months of Europe/Berlin" in text


def test_headings_are_the_words_of_the_names():
    words = {figure.name: heading(figure).split("\n") for figure in FIGURES}
    assert words["perCapitaEnergy"] == ["per", "capita", "energy"]
    text = printed(MONTHLY, answer_of(MONTHLY))
    assert not {word for found in words.values() for word in found} - set(text.split())


def test_the_report_fits_a_hundred_columns():
    for table in (MONTHLY, HALF_HOUR):
        assert width_of(answer_report(table, "Stadtwerke", answer_of(table))) <= 100


def test_a_curve_says_which_slot_is_the_highest():
    answer = answer_of(HALF_HOUR)
    for slot, count in ((35, 24), (36, 0)):
        answer["slots"][slot]["chargeCount"] = count
    said, most, bars = printed(HALF_HOUR, answer).splitlines()
    assert said == "Charging sessions by half-hour of the day, 2026-10-26 to 2026-11-24"
    assert most == "Most at 17:30-18:00: 24 of 576"
    first, shown, last = bars.split()
    assert (first, last) == ("00:00-00:30", "23:30-24:00")
    assert shown == "▄" * 35 + "█▁" + "▄" * 11


def test_an_operator_without_charges_has_a_flat_curve():
    answer = answer_of(HALF_HOUR)
    answer |= {"total": 0, "slots": [slot | {"chargeCount": 0} for slot in answer["slots"]]}
    assert f" {'▁' * 48} " in printed(HALF_HOUR, answer)


def test_tables_of_other_periods_and_slots_are_shown_as_well():
    _, most, bars = printed(WEEKDAY, answer_of(WEEKDAY)).splitlines()
    assert (most, bars) == ("Most at Monday: 12 of 84", f"Monday {'█' * 7} Sunday")
    text = printed(DAILY, answer_of(DAILY))
    assert len(cells(text, "2026-06-01")) == 2
    assert "days of Europe/Berlin" in text


def test_groups_are_named():
    groups = {"groups": [{"groupId": "ALL", "name": None}, {"groupId": "vip", "name": "大客户"}]}
    assert groups_line(groups).plain == "Groups: ALL (everything), vip (大客户)"
