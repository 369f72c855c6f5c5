"""Documents are composed of one state, though the partition goes on while earlier ones are on their way."""

import json

from stream_app.domain.events import ALL
from stream_app.domain.tables import HALF_HOUR
from stream_app.sinks.redis_documents import puts
from tests.support.fake_view import MONTH, TODAY, FakeView


def test_a_document_that_is_composed_after_a_tick_has_the_version_of_what_it_shows():
    """Two groups; once the first document was handed over, both get another session."""
    view = FakeView()
    view.add_operator("M1")
    for group in (ALL, "vip"):
        view.set_month("M1", group, MONTH, 500, [1, 1, 0])
        view.set_day("M1", group, TODAY, 500, {18: 1})
    calls = puts(view, view.everything())
    composed = [next(calls)]
    for group in (ALL, "vip"):
        view.named["M1"][group] = view.named["M1"][group].__class__(months=dict(view.named["M1"][group].months))
        view.set_day("M1", group, TODAY, 501, {18: 2})
    view.version += 1
    composed += calls
    shown = [json.loads(call.arguments[0]) for call in composed if f":{HALF_HOUR.document}:" in call.keys[0]]
    assert len(shown) == 2
    assert [(document["version"], document["total"]) for document in shown] == [(501, 2)] * 2
