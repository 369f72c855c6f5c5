"""The interface against its own description: what schemathesis makes up, asked of the command over HTTP, on real stores with two tenants.

Whatever is asked, with whatever token: no answer is a fault or outside the description, and none to one tenant holds a byte of the other.
"""

import base64
import json
import time
from contextlib import suppress
from urllib.parse import unquote_plus

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from stream_app.api.asking.windows import Retention
from stream_app.api.description.reference import document
from stream_app.domain.tables import TABLES
from stream_app.formats.murmur2 import partition_for
from tests.api.real import DATABASE, filled_once
from tests.api.tenants import OURS, THEIRS, tenants
from tests.support.api import PREFIX, settings, token
from tests.support.api_process import served

EXAMPLES = 60  # an operation, beside those that cover each of its parameters
READ_SECONDS_MAX = 10
RETENTION = Retention(settings().retention_months, settings().distribution_days)
STREAM = f"{PREFIX}/stream"


def strict(value):
    """The description of answers with nothing allowed beside what it names."""
    if isinstance(value, list):
        return [strict(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {name: strict(entry) for name, entry in value.items()}
    if "properties" in found and not str(found.get("title", "")).endswith("Request"):
        found["additionalProperties"] = False
    return found


@pytest.fixture(scope="module")
def address(redis_url, clickhouse_url, tmp_path_factory):
    partitions = settings().events_partitions
    filled_once(redis_url, clickhouse_url, *tenants(lambda operator: partition_for(operator.encode(), partitions)))
    stores = {"REDIS_URL": redis_url, "CLICKHOUSE_URL": clickhouse_url, "STREAM_APP_CLICKHOUSE_DATABASE": DATABASE}
    with served(tmp_path_factory.mktemp("api") / "log", **stores) as address:
        yield address


schema = schemathesis.openapi.from_dict(strict(json.loads(document("0", RETENTION, TABLES))))
schema.config.generation.update(with_security_parameters=False)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


LATER = int(time.time()) + 3600
GOOD = {
    "ours": token(OURS.operator, exp=LATER),
    "theirs": token(THEIRS.operator, exp=LATER),
    "both": token([OURS.operator, THEIRS.operator], exp=LATER),
    "nobody's": token([], exp=LATER),
}
FORBIDDEN = {"ours": THEIRS.marks, "theirs": OURS.marks, "nobody's": OURS.marks + THEIRS.marks, "both": ()}
CLAIMS = {"scope": "crm:read", "operators": [THEIRS.operator]}
BROKEN = {
    "none": ("", 40101),
    "no JWT": ("x", 40101),
    "unsigned": (f"{part({'alg': 'none'})}.{part(CLAIMS)}.", 40101),
    "of another secret": (token(THEIRS.operator, secret="another secret that is long enough"), 40101),
    "with other claims": (".".join([GOOD["ours"].split(".")[0], part(CLAIMS), GOOD["ours"].split(".")[2]]), 40101),
    "expired": (token(THEIRS.operator, exp=1), 40101),
    "without the scope": (token(THEIRS.operator, exp=LATER, scope="crm:write"), 40301),
}
# A description can't say that these depend on the token, on today, or on each other.
DEPENDS = ("operatorId: missing", "endMonth: ", "endDate: must be a date from", "days: begins before")
MADE_UP = None
OPERATOR_IDS = st.sampled_from([MADE_UP, OURS.operator, THEIRS.operator])
GROUP_IDS = st.sampled_from([MADE_UP, "ALL", *OURS.groups, *THEIRS.groups])


def with_ids(case, operator, group):
    """The case with ids that there are in place of those made up, where it has any parameters."""
    ids = {name: value for name, value in (("operatorId", operator), ("groupId", group)) if value is not MADE_UP}
    if case.method in ("GET", "HEAD") and case.path.startswith(PREFIX):
        case.query = {**(case.query or {}), **ids}
    elif isinstance(case.body, dict) and case.path == STREAM:
        watch = case.body.get("watch")
        if isinstance(watch, list):  # of many groups one has them
            changed = [{**entry, **ids} if isinstance(entry, dict) else entry for entry in watch[:1]]
            case.body = {**case.body, "watch": changed + watch[1:]}
    elif isinstance(case.body, dict):
        case.body = {**case.body, **ids}
    return case


def answered(case, address, headers):
    """The answer; of a stream that begins, what it says at once."""
    if case.path != STREAM:
        return case.call(address, headers=headers)
    with requests.request(
        **case.as_transport_kwargs(base_url=address, headers=headers), stream=True, timeout=READ_SECONDS_MAX
    ) as answer:
        body = b""
        for piece in answer.iter_content(None):
            body += piece
            refused = body.count(b"event: refused")
            none_left = isinstance(case.body, dict) and refused and refused == len(case.body["watch"])
            if sent_as(answer, "text/event-stream") and (b"event: as-of" in body or none_left):
                break
        answer._content, answer._content_consumed = body, True
        return answer


def asked_of(answer):
    """What the request says: a mark in it may come back."""
    request = answer.request
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    text = body.decode(errors="replace")
    with suppress(ValueError):
        text += json.dumps(json.loads(text), ensure_ascii=False)
    return f"{unquote_plus(request.url)} {text}"


def told_by(answer):
    """All that an answer says, as text and as what its JSON means."""
    text = answer.content.decode()
    if sent_as(answer, "application/json"):
        text += json.dumps(answer.json(), ensure_ascii=False)
    return f"{text} {answer.headers.get('etag')} {answer.headers.get('x-data-as-of')}"


def has_fraction(body):
    """Is a number written as 1.0? JSON Schema can't tell it from 1; the interface does, as in the source topics."""
    return isinstance(body, dict) and any(isinstance(value, float) for value in body.values())


def sent_as(answer, kind):
    """Is it of this media type? Headers are text, or lists of it in answers of schemathesis."""
    return kind in str(answer.headers.get("content-type"))


@schema.given(who=st.sampled_from([*GOOD, *BROKEN]), operator=OPERATOR_IDS, group=GROUP_IDS)
@schema.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, derandomize=True, deadline=None, print_blob=False)
def test_no_answer_is_a_fault_outside_the_description_or_of_another(address, case, who, operator, group):
    case = with_ids(case, operator, group)
    headers = {"Authorization": f"Bearer {GOOD[who] if who in GOOD else BROKEN[who][0]}"}
    answer = answered(case, address, headers)
    case.validate_response(
        answer,
        # Broken tokens are told apart below; a second request of a stream would not end.
        excluded_checks=[positive_data_acceptance, ignored_auth],
        headers=headers,
    )
    if answer.status_code == 405 or not case.path.startswith(PREFIX):
        return
    code = answer.json()["code"] if sent_as(answer, "application/json") else 0
    asked, told = asked_of(answer), told_by(answer)
    if who in BROKEN:
        assert code == BROKEN[who][1]
        assert not [mark for mark in OURS.marks + THEIRS.marks if mark in told]
        return
    if code == 40001 and case.meta.generation.mode.is_positive and not has_fraction(case.body):
        assert answer.json()["message"].startswith(DEPENDS)
    assert not [mark for mark in FORBIDDEN[who] if mark in told and mark not in asked]
