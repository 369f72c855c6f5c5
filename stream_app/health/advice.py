"""Each reason of a status, and each stage, in words for people: what it means, and what to do. Shown by `stream-app status` and whoever reads /status."""

from typing import Final

import msgspec

from stream_app.health.freshness import Stage
from stream_app.health.status import Reason


class Advice(msgspec.Struct, frozen=True):
    """What a reason or a stage means, and what to do; `todo` is empty where nothing is to be done."""

    means: str
    todo: str = ""


ADVICE: Final = {
    Reason.IDLE: Advice("nothing is unread"),
    Reason.READING: Advice("reads as it comes"),
    Reason.CATCHING_UP: Advice("is behind, and catches up"),
    Reason.STANDING: Advice("is behind, and reads nothing, but not for long"),
    Reason.FALLING_BEHIND: Advice(
        "reads slower than records come", "add a member while there are partitions for it; look for what slows it down"
    ),
    Reason.STALLED: Advice(
        "is there, and reads nothing although there is something", "read the end of its log; restart it"
    ),
    Reason.NO_MEMBERS: Advice("nobody is there", "start it"),
    Reason.UNASSIGNED: Advice(
        "nobody owns a partition", "see whether its members rebalance without end, or don't know the partition yet"
    ),
    Reason.NEVER_COMMITTED: Advice(
        "is there, and never committed: what it read is not known", "let it commit, or leave it out of monitor_groups"
    ),
    Reason.STARTING: Advice("is there, and has not committed yet"),
    Reason.REWOUND: Advice(
        "went back and reads again", "nothing, if somebody wanted that; else see who set its offsets"
    ),
    Reason.LOST: Advice(
        "records were deleted before it read them", "raise the topic's retention; fetch from the source what is missing"
    ),
    Reason.LOSS_NEAR: Advice(
        "records are about to be deleted unread", "raise the topic's retention now, then see why it is so far behind"
    ),
    Reason.RECREATED: Advice(
        "its position is of a topic that was deleted and made anew", "restart it; set its offsets if it does not go on"
    ),
    Reason.NOT_THERE: Advice("there is no such group: it never ran, or was deleted", "start it"),
    Reason.SHARE_GROUP: Advice("a share group: Kafka keeps no offset for it that lag could be told from"),
}

STAGES: Final = {
    Stage.INGEST: Advice(
        "ingest is behind or down", "see whether workers run (make up), and what the end of their logs says"
    ),
    Stage.LEDGER: Advice(
        "the ledger is behind or down here", "see whether workers run (make up), and what the end of their logs says"
    ),
    Stage.AS_OF: Advice(
        "all is read, and as-of stands still",
        "see what the workers' logs say that holds it: a topic that was made anew needs a restart, a missing right must be granted",
    ),
    Stage.TOPICS: Advice("the results topics are not written", "look in the workers' logs"),
    Stage.REDIS: Advice("Redis is not written", "see whether Redis answers, has memory left and takes writes"),
    Stage.CLICKHOUSE: Advice("ClickHouse is not written", "see whether ClickHouse answers and has disk left"),
    Stage.PUSH: Advice("results are there and are not pushed to viewers", "see whether the API runs and hears Redis"),
}
SILENT: Final = Advice("nothing comes, where on days before it did", "ask the team that owns the topic")
