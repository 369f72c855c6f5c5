"""A map that can't be used is one sentence that names the key."""

from pathlib import Path

import pytest

from stream_app.sources.maps.map_file import MapError, columns
from stream_app.sources.maps.map_load import load
from tests.importer.maps import MAP

MAPS = Path(__file__).resolve().parents[2] / "config" / "maps"


@pytest.mark.parametrize("path", sorted(MAPS.glob("*.toml")), ids=lambda path: path.name)
def test_the_maps_that_ship_can_be_loaded(path):
    assert load(path.read_bytes()).session


def test_columns_are_found_with_the_keys_that_name_them():
    found = columns(load(MAP.encode()))
    assert found["when"] == ["session.started_at", "groups.at"]
    assert found["who"] == ["row.customer_id"]
    assert set(found) == {"who", "id", "state", "when", "until", "kwh", "paid", "off", "back", "club"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("started_at =", "startet_at =", "contain[s]? unknown field `startet_at` - at `session`"),
        (
            '[session]\nsession_id = { column = "id" }',
            "[session]",
            "missing required field `session_id` - at `session`",
        ),
        ("[groups]", "[groups]\nfoo = 1", "unknown field `foo` - at `groups`"),
        ('zone = "Europe/Zurich"', "zone = 7", "`int` - at `times.zone`"),
        ('"Europe/Zurich"', '"Europe/Lugano"', "`times.zone` is 'Europe/Lugano'"),
        ('zone = "Europe/Zurich"', "", "`times.zone` is missing"),
        ('"iso8601"', '"%d.%m %H:%M"', r"`times.formats\[1\]` is '%d.%m %H:%M'"),
        ('"iso8601"', '"%Q"', r"`times.formats\[1\]` is '%Q'"),
        ('["%d.%m.%Y %H:%M", "iso8601"]', "[]", "times.formats"),
        ('{ value = "M1" }', "{ }", "`row.operator_id` needs either `column` or `value`"),
        ('{ value = "M1" }', '{ value = "M1", column = "id" }', "`row.operator_id` needs either `column` or `value`"),
        ('{ value = "M1" }', '{ value = "" }', "row.operator_id.value"),
        ('{ value = "CHF" }', '{ value = "CHFR" }', "`payment.currency.value` is 'CHFR'"),
        ('{ value = "SUCCEEDED" }', '{ value = "PAID" }', "`payment.status.value` is 'PAID'"),
        ('done = "COMPLETED"', 'done = "COMPLETE"', "`session.status.values.done` is 'COMPLETE'"),
        (
            '\nat = { column = "when" }',
            '\nat = { date = "when" }',
            "`groups.at` needs either `column`, or `date` and `time`",
        ),
        ('customer_id = { column = "who", anonymous = ["-", "unknown"] }', "", "`groups` needs `row.customer_id`"),
        ("[times]", '[file]\nseparator = ";;"\n[times]', "file.separator"),
        ("[times]", '[file]\nformat = "xlsx"\n[times]', "file.format"),
        ("[times]", '[file]\nencoding = "utf-9"\n[times]', "`file.encoding` is 'utf-9'"),
        ("[times]", '[file]\nencoding = "base64"\n[times]', "`file.encoding` is 'base64'"),
        ("[times]", '[money]\ndecimal = ","\nthousands = ","\n[times]', "`money.thousands`"),
        (
            "[times]",
            '[[operators]]\noperator_id = "M1"\ntimezone = "CET/x"\ncurrency = "CHF"\n[times]',
            r"`operators\[0\].timezone` is 'CET/x'",
        ),
        ('"iso8601"]', '"iso8601"]\nzones = { PST = "Pacific" }', "`times.zones.PST` is 'Pacific'"),
        ('decimal = ","', 'decimal = ",", thousands = ","', "`session.energy_kwh.thousands`"),
        ("[times]", "[times", "line 2"),
    ],
)
def test_what_is_wrong_is_named(old, new, sentence):
    assert old in MAP
    with pytest.raises(MapError, match=sentence):
        load(MAP.replace(old, new).encode())


def test_no_zone_is_needed_where_formats_or_rows_have_one():
    zoneless = MAP.replace('zone = "Europe/Zurich"', "")
    assert load(zoneless.replace('"%d.%m.%Y %H:%M", "iso8601"', '"%d.%m.%Y %H:%M %Z", "%d.%m.%Y %z"').encode())
    by_column = zoneless.replace('{ column = "when" }', '{ column = "when", zone = "off" }')
    with pytest.raises(MapError, match=r"`times.zone` is missing"):
        load(by_column.encode())
    assert load(by_column.replace('{ column = "until" }', '{ column = "until", zone = "off" }').encode())


def test_a_map_that_makes_nothing_is_refused():
    with pytest.raises(MapError, match="makes nothing"):
        load(MAP[: MAP.index("[session]")].encode())


def test_a_map_that_is_not_utf8_is_refused():
    with pytest.raises(MapError, match="UTF-8"):
        load(b"\xff")
