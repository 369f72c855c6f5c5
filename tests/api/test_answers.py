"""What is answered, and from which store."""

import asyncio
import json
import time

import pytest

from stream_app.api.asking import answers
from stream_app.api.asking.given import DOCUMENTS_MAX, Answer, Given
from stream_app.domain.events import ALL
from stream_app.domain.report import iso_ms
from stream_app.domain.tables import DAY, HALF_HOUR, MONTHLY
from stream_app.formats.murmur2 import partition_for
from stream_app.sinks.redis_keys import PARTITIONS, document_key
from tests.support.api import PREFIX, FakeCells, FakeDocuments, api, bearer
from tests.support.fake_view import MONTH, STRANGE, TODAY, example

LIVE, STORED = iso_ms(1_795_500_009_000), iso_ms(1_795_500_004_000)


def world():
    view = example()
    return FakeDocuments(view), FakeCells(view)


async def post(client, name, body, operators="*"):
    return await client.post(f"{PREFIX}/{name}", json=body, headers=bearer(operators))


@pytest.mark.parametrize("operator", ["M1", STRANGE, "yen"])
@pytest.mark.parametrize(("name", "table"), [("monthlyIndex", MONTHLY), ("chargingDistribute", HALF_HOUR)])
async def test_the_default_answer_is_redis_document_with_the_live_as_of(operator, name, table):
    documents, cells = world()
    async with api(documents, cells) as client:
        answer = await post(client, name, {"operatorId": operator})
    document = json.loads(documents.documents[document_key(table, operator, ALL)])
    assert answer.status_code == 200
    assert answer.json() == {"code": 0, "message": "ok", "data": document | {"asOf": LIVE}}
    assert answer.headers["x-data-as-of"] == LIVE
    assert cells.asked == 0


@pytest.mark.parametrize(
    "strange",
    [
        '"asOf":"2001-01-01T00:00:00.000Z"',
        '","partition":9,"asOf":"x","version":7,"',
        "\\",
        '\\"asOf\\":\\"',
        "🚗大客户",
    ],
)
async def test_an_id_that_looks_like_a_field_is_not_taken_for_one(strange):
    view = example()
    view.add_operator(strange)
    view.set_month(strange, ALL, MONTH, 900, [1, 1, 0])
    view.set_month(strange, strange, MONTH, 900, [1, 1, 0])
    documents = FakeDocuments(view)
    async with api(documents) as client:
        answer = await post(client, "monthlyIndex", {"operatorId": strange, "groupId": strange})
    data = answer.json()["data"]
    assert (data["operatorId"], data["groupId"], data["asOf"]) == (strange, strange, LIVE)
    assert data == json.loads(documents.documents[document_key(MONTHLY, strange, strange)]) | {"asOf": LIVE}


async def test_a_document_written_with_other_white_space_and_order_is_read_as_well():
    documents = FakeDocuments()
    documents.live = {b"5": LIVE.encode()}
    document = {"version": 7, "asOf": STORED, "partition": 5, "operatorId": "M1", "months": []}
    documents.documents[document_key(MONTHLY, "M1", ALL)] = json.dumps(document).encode()
    async with api(documents) as client:
        answer = await client.get(f"{PREFIX}/monthlyIndex", headers=bearer())
    assert answer.json()["data"] == document | {"asOf": LIVE}
    assert answer.headers["etag"] == 'W/"7"'


async def test_without_a_live_as_of_the_documents_own_is_said():
    documents, cells = world()
    documents.live = {}
    async with api(documents, cells) as client:
        answer = await post(client, "monthlyIndex", {"operatorId": "M1"})
    own = json.loads(documents.documents[document_key(MONTHLY, "M1", ALL)])["asOf"]
    assert answer.json()["data"]["asOf"] == answer.headers["x-data-as-of"] == own


async def test_what_is_the_default_spelled_out_comes_from_redis_too():
    documents, cells = world()
    async with api(documents, cells) as client:
        plain = await post(client, "monthlyIndex", {"operatorId": "M1"})
        asked = {"operatorId": "M1", "groupId": "ALL", "months": 6, "endMonth": "2026-11", "currency": "EUR"}
        assert (await post(client, "monthlyIndex", asked)).content == plain.content
        plain = await post(client, "chargingDistribute", {"operatorId": "M1"})
        asked = {"operatorId": "M1", "groupId": "ALL", "days": 30, "endDate": "2026-11-24"}
        assert (await post(client, "chargingDistribute", asked)).content == plain.content
    assert cells.asked == 0


async def test_another_window_or_currency_comes_from_clickhouse_with_its_as_of():
    documents, cells = world()
    async with api(documents, cells) as client:
        one = (await post(client, "monthlyIndex", {"operatorId": "M1", "months": 1, "currency": "USD"})).json()["data"]
        far = (await post(client, "monthlyIndex", {"operatorId": "M1", "months": 25, "endMonth": "2026-10"})).json()
        days = await post(client, "chargingDistribute", {"operatorId": "M1", "days": 2, "endDate": "2026-09-01"})
    assert (one["currency"], one["currencies"], one["asOf"]) == ("USD", ["EUR", "USD"], STORED)
    assert [(month["month"], month["receivedAmount"]) for month in one["months"]] == [("2026-11", "0.05")]
    months = far["data"]["months"]
    assert (len(months), months[0]["month"], months[-1]["month"]) == (25, "2024-10", "2026-10")
    assert months[0]["receivedAmount"] == "0.00"
    assert months[-1]["receivedAmount"] == "1230.00"
    assert (days.json()["data"]["from"], days.json()["data"]["to"]) == ("2026-08-31", "2026-09-01")
    assert days.headers["x-data-as-of"] == STORED


@pytest.mark.parametrize("name", ["monthlyIndex", "chargingDistribute"])
async def test_redis_down_gives_the_same_figures_from_clickhouse(name):
    documents, cells = world()
    async with api(documents, cells) as client:
        from_redis = (await post(client, name, {"operatorId": STRANGE})).json()["data"]
        documents.down = True
        from_clickhouse = (await post(client, name, {"operatorId": STRANGE})).json()["data"]
        assert from_clickhouse == from_redis | {"asOf": STORED}
        for other in ("groups", "operators"):
            documents.down = False
            expected = (await post(client, other, {"operatorId": "M1"})).json()
            documents.down = True
            assert (await post(client, other, {"operatorId": "M1"})).json() == expected


async def test_a_redis_that_lost_its_documents_is_not_believed():
    view = example()
    async with api(FakeDocuments(), FakeCells(view)) as client:
        data = (await post(client, "monthlyIndex", {"operatorId": "M1"})).json()["data"]
        assert data["months"][-1]["paymentCount"] == 3
        listed = (await post(client, "groups", {"operatorId": "M1"})).json()["data"]["groups"]
        assert [group["groupId"] for group in listed] == ["ALL", "named", "vip"]
        assert len((await post(client, "operators", {})).json()["data"]["operators"]) == 3


async def test_a_group_evicted_from_redis_comes_from_clickhouse():
    documents, cells = world()
    del documents.documents[document_key(MONTHLY, "M1", "vip")]
    async with api(documents, cells) as client:
        data = (await post(client, "monthlyIndex", {"operatorId": "M1", "groupId": "vip"})).json()["data"]
    assert (data["months"][-1]["receivedAmount"], data["asOf"]) == ("10.00", STORED)


@pytest.mark.parametrize("clickhouse_down", [False, True])
@pytest.mark.parametrize("name", ["monthlyIndex", "chargingDistribute"])
async def test_a_group_without_data_is_zeros_at_the_version_of_all(name, clickhouse_down):
    documents, cells = world()
    cells.down = clickhouse_down
    async with api(documents, cells) as client:
        all_ = (await post(client, name, {"operatorId": "M1"})).json()["data"]
        none = (await post(client, name, {"operatorId": "M1", "groupId": "nobody's"})).json()["data"]
    assert none["groupId"] == "nobody's"
    assert all(none[field] == all_[field] for field in ("timezone", "partition", "asOf", "version"))
    if name == "monthlyIndex":
        assert [month["month"] for month in none["months"]] == [month["month"] for month in all_["months"]]
        assert {(month["receivedAmount"], month["sessionCount"]) for month in none["months"]} == {("0.00", 0)}
        assert none["currencies"] == ["EUR"]
    else:
        assert (none["from"], none["to"], none["total"], len(none["slots"])) == (all_["from"], all_["to"], 0, 48)


@pytest.mark.parametrize("clickhouse_down", [False, True])
async def test_rows_of_a_group_that_outlived_its_document_do_not_lower_the_version(clickhouse_down):
    documents, cells = world()
    documents.documents.pop(document_key(MONTHLY, "M1", STRANGE), None)
    cells.down = clickhouse_down
    async with api(documents, cells) as client:
        data = (await post(client, "monthlyIndex", {"operatorId": "M1", "groupId": STRANGE})).json()["data"]
    assert (data["version"], data["asOf"]) == (600, LIVE)


@pytest.mark.parametrize("down", ["", "redis", "clickhouse"])
async def test_an_operator_nobody_knows_is_zeros(down):
    documents, cells = world()
    documents.down, cells.down = down == "redis", down == "clickhouse"
    async with api(documents, cells) as client:
        data = (await post(client, "monthlyIndex", {"operatorId": "大客户?"})).json()["data"]
        shown = (await post(client, "chargingDistribute", {"operatorId": "大客户?"})).json()["data"]
        groups = (await post(client, "groups", {"operatorId": "大客户?"})).json()["data"]
    assert (data["timezone"], data["currency"], data["version"]) == ("UTC", "EUR", 0)
    assert data["partition"] == shown["partition"] == partition_for("大客户?".encode(), 8)
    assert data["asOf"] == (STORED if down == "redis" else LIVE)
    assert len(data["months"]) == 6
    assert len(shown["slots"]) == 48
    assert groups == {"groups": [{"groupId": "ALL", "name": None}]}


async def test_groups_and_operators_are_those_of_the_token_in_order():
    documents, cells = world()
    async with api(documents, cells) as client:
        groups = await post(client, "groups", {"operatorId": "M1"})
        assert [group["groupId"] for group in groups.json()["data"]["groups"]] == ["ALL", "named", "vip"]
        assert groups.headers["x-data-as-of"] == LIVE
        all_ = (await post(client, "operators", {})).json()["data"]["operators"]
        assert [entry["operatorId"] for entry in all_] == ["M1", "yen", STRANGE]
        two = await post(client, "operators", {}, ["yen", "M1", "unknown"])
        assert [entry["operatorId"] for entry in two.json()["data"]["operators"]] == ["M1", "yen"]
        assert (await post(client, "operators", {}, [])).json()["data"] == {"operators": []}


async def test_the_as_of_of_operators_is_that_of_the_partition_furthest_behind():
    documents, cells = world()
    documents.live[b"6"] = STORED.encode()
    async with api(documents, cells) as client:
        assert (await post(client, "operators", {})).headers["x-data-as-of"] == STORED


@pytest.mark.parametrize("partitions", [2, 11])
async def test_the_number_of_partitions_is_what_redis_says_not_a_setting(partitions):
    """A rebuild may change it. As-of of what names no partition is the least, once there is one of each."""
    documents, cells = world()
    documents.documents[PARTITIONS] = b"%d" % partitions
    documents.live = {b"%d" % partition: LIVE.encode() for partition in range(partitions)} | {b"1": STORED.encode()}
    async with api(documents, cells) as client:
        for name in ("groups", "operators"):
            assert (await post(client, name, {"operatorId": "M1"})).headers["x-data-as-of"] == STORED
        unknown = (await post(client, "monthlyIndex", {"operatorId": "nobody"})).json()["data"]
        assert (unknown["partition"], unknown["asOf"]) == (partition_for(b"nobody", partitions), STORED)
        asked = cells.asked
        del documents.live[b"0"]
        assert (await post(client, "groups", {"operatorId": "M1"})).headers["x-data-as-of"] == iso_ms(0)
        assert cells.asked == asked
        await post(client, "operators", {})
        assert cells.asked > asked, "Redis that lacks a partition is not believed"


async def test_windows_are_checked_against_the_operators_own_today():
    documents, cells = world()
    async with api(documents, cells) as client:

        async def code(name, **asked):
            answer = (await post(client, name, {"operatorId": "M1"} | asked)).json()
            return answer["code"], answer["message"].split(":")[0]

        assert await code("monthlyIndex", endMonth="2026-12") == (40001, "endMonth")
        assert (await code("monthlyIndex", endMonth="2026-11"))[0] == 0
        first = DAY.text(TODAY - 91)
        assert (await code("chargingDistribute", endDate=first, days=1))[0] == 0
        assert await code("chargingDistribute", endDate=first, days=2) == (40001, "days")
        assert await code("chargingDistribute", endDate=DAY.text(TODAY - 92), days=1) == (40001, "endDate")
        assert await code("chargingDistribute", endDate=DAY.text(TODAY + 1)) == (40001, "endDate")
        assert (await code("chargingDistribute", days=92))[0] == 0
        assert await code("monthlyIndex", endMonth="1970-02", months=3) == (40001, "endMonth")


@pytest.mark.parametrize("asked", [{}, {"months": 2}])
async def test_what_is_being_written_is_asked_for_again(asked, monkeypatch):
    """For two seconds; then the caller is told to. ClickHouse is not taken for one that is away."""
    documents, cells = world()
    documents.down = True
    monkeypatch.setattr(answers, "SETTLE_S", [0.001] * 5)
    async with api(documents, cells) as client:
        right = (await post(client, "monthlyIndex", {"operatorId": "M1"} | asked)).json()
        cells.under_way = 4
        assert (await post(client, "monthlyIndex", {"operatorId": "M1"} | asked)).json() == right
        cells.under_way = 5
        answer = await post(client, "monthlyIndex", {"operatorId": "M1"} | asked)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, 50301, "1")
        assert (await post(client, "monthlyIndex", {"operatorId": "M1"} | asked)).json() == right
        cells.under_way = 1
        implied = await client.get(
            f"{PREFIX}/groups", headers=bearer("M1")
        )  # which looks for an operator that is known
        assert implied.json()["code"] == 0


def a_payment_later(as_of_ms):
    """Documents that hold one more payment than cells, up to an as-of; and the cells as they are then."""
    later = example()
    later.set_month("M1", ALL, MONTH, 700, [10, 3, 1], EUR=[1101, 5, 0, 4, 2, 0])
    later.set_day("M1", ALL, TODAY, 700, {0: 9})
    return FakeDocuments(later, as_of_ms), FakeCells(later)


@pytest.mark.parametrize("name", ["monthlyIndex", "chargingDistribute"])
async def test_the_version_of_a_default_answer_never_falls(name):
    """ClickHouse follows Redis: what was given before is given again, until it has."""
    documents, later = a_payment_later(1_795_500_009_000)
    cells = FakeCells(example())
    async with api(documents, cells) as client:
        before = await post(client, name, {"operatorId": "M1"})
        documents.down = True
        again = await post(client, name, {"operatorId": "M1"})
        assert again.content == before.content
        assert again.headers["x-data-as-of"] == before.headers["x-data-as-of"] == LIVE
        other = await post(client, name, {"operatorId": "yen"})
        assert other.json()["data"]["version"] == 0
        cells.view, cells.as_of = later.view, 1_795_500_010_000
        after = (await post(client, name, {"operatorId": "M1"})).json()["data"]
        assert after == before.json()["data"] | {"asOf": iso_ms(1_795_500_010_000)}


@pytest.mark.parametrize("name", ["monthlyIndex", "chargingDistribute"])
@pytest.mark.parametrize("is_emptied", [False, True])
async def test_a_version_that_another_process_gave_is_the_newest_while_redis_can_not_say(name, is_emptied):
    """Whoever names it keeps it, with its as-of, until ClickHouse has come so far."""
    documents, later = a_payment_later(1_795_500_009_000)
    cells = FakeCells(example())
    url, headers = f"{PREFIX}/{name}?operatorId=M1", bearer()
    async with api(documents, FakeCells(example())) as one, api(documents, cells) as other:
        older = FakeDocuments(example()).documents
        newest, documents.documents = documents.documents, older
        assert (await other.get(url, headers=headers)).headers["etag"] == 'W/"600"'  # which the other gave itself
        documents.documents = newest
        tag = (await one.get(url, headers=headers)).headers["etag"]
        assert tag == 'W/"700"'
        if is_emptied:
            documents.documents, documents.live, documents.entries = {}, {}, {}
        else:
            documents.down = True
        for named in (tag, f'W/"600", {tag}', f'"x",{tag}'):
            kept = await other.get(url, headers=headers | {"If-None-Match": named})
            assert (kept.status_code, kept.content, kept.headers["etag"]) == (304, b"", tag)
            assert "x-data-as-of" not in kept.headers
        assert (await other.get(url, headers=headers | {"If-None-Match": 'W/"600"'})).status_code == 304
        for named in ('W/"599"', 'W/"x"', 'W/"99999999999999999999"'):
            assert (await other.get(url, headers=headers | {"If-None-Match": named})).status_code == 200
        cells.view, cells.as_of = later.view, 1_795_500_010_000
        after = await other.get(url, headers=headers | {"If-None-Match": 'W/"699"'})
        assert (after.status_code, after.json()["data"]["version"]) == (200, 700)


async def test_where_redis_can_say_a_higher_version_that_is_named_is_of_another_history():
    """Also of a group that Redis knows to have no documents; and of other windows, which ClickHouse alone answers."""
    documents, cells = world()
    headers = bearer() | {"If-None-Match": 'W/"700"'}
    async with api(documents, cells) as client:
        for asked in ("operatorId=M1", "operatorId=M1&groupId=nobody", "operatorId=M1&months=2"):
            answer = await client.get(f"{PREFIX}/monthlyIndex?{asked}", headers=headers)
            assert (answer.status_code, answer.json()["data"]["version"]) == (200, 600), asked
        documents.down = True
        answer = await client.get(f"{PREFIX}/monthlyIndex?operatorId=M1&months=2", headers=headers)
        assert answer.status_code == 200


async def test_a_redis_that_came_back_older_lowers_no_version():
    documents, _ = world()
    _, cells = a_payment_later(0)
    documents.down = True
    async with api(documents, cells) as client:
        before = await post(client, "monthlyIndex", {"operatorId": "M1"})
        assert before.json()["data"]["version"] == 700
        documents.down = False
        for _ in range(3):
            assert (await post(client, "monthlyIndex", {"operatorId": "M1"})).content == before.content
            await asyncio.sleep(0.05)


async def test_a_lower_version_that_claims_what_was_taken_since_is_of_another_history():
    """As of a deployment that was begun anew under a running API."""
    documents, _ = a_payment_later(1_795_500_009_000)
    now_ms = int(time.time() * 1000)
    async with api(documents) as client:
        assert (await post(client, "monthlyIndex", {"operatorId": "M1"})).json()["data"]["version"] == 700
        anew = FakeDocuments(example(), now_ms + 70_000)
        documents.documents, documents.live = anew.documents, anew.live
        assert (await post(client, "monthlyIndex", {"operatorId": "M1"})).json()["data"]["version"] == 600


def test_so_many_given_answers_are_known_and_the_oldest_are_forgotten():
    given = Given(lambda: 0)
    for number in range(DOCUMENTS_MAX + 1):
        given.newest(str(number), Answer(b"", b"", b"7", "redis"))
    older = Answer(b"", b"", b"6", "clickhouse")
    assert given.newest("1", older) is not older
    assert given.newest("0", older) is older


async def test_stores_are_asked_again_when_they_are_back():
    documents, cells = world()
    async with api(documents, cells) as client:
        documents.down = cells.down = True
        assert (await post(client, "monthlyIndex", {"operatorId": "M1"})).json()["code"] == 50301
        documents.down = False
        for _ in range(300):
            if (await post(client, "monthlyIndex", {"operatorId": "M1"})).json()["code"] == 0:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the circuit never closed")
