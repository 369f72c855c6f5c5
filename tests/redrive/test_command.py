"""The command: what it prints, what it refuses, what it asks; on a real broker."""

import json
import os
import stat
import subprocess

import pytest

from stream_app.domain.errors import Reason, Rejection
from stream_app.sinks.dead_letters import dead_letter
from tests.support.deployment import PROGRAM
from tests.support.kafka import flush

NOW_MS = 1_795_507_200_000


@pytest.fixture
def source(new_topic):
    return new_topic(1)


@pytest.fixture
def run(kafka, new_topic, producer, source):
    """Runs the command on two letters of a topic, with what stands on its input."""
    letters = new_topic(1, cleanup_policy="compact,delete")
    sender = producer()
    for offset, (value, reason) in enumerate([(b'{"a":1}', Reason.BAD_TIME), (b"\xff", Reason.NOT_JSON)]):
        letter = dead_letter(source, 0, offset, None, value, Rejection(reason, "why"), NOW_MS + offset)
        sender.produce(letters, letter.value, letter.key, headers=letter.headers)
    flush(sender)
    env = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "STREAM_APP_TOPIC_DEAD_LETTERS": letters,
        "STREAM_APP_APP_ID": letters,
    }

    def run_(*arguments, stdin="", **more):
        return subprocess.run(
            [PROGRAM, "dead-letters", *arguments],
            env=env | more,
            capture_output=True,
            text=True,
            input=stdin,
            check=False,
        )

    return run_


def test_letters_are_listed_shown_edited_and_say_what_became_of_them(run, source, read, tmp_path):
    listed = run("list")
    assert listed.stdout.splitlines() == [
        f"2026-11-24T08:00:00.000Z  {source}/0/0  bad_time  7 bytes  why",
        f"2026-11-24T08:00:00.001Z  {source}/0/1  not_json  1 bytes  why",
    ]
    assert listed.stderr == "2 letters\n"
    shown = run("show", f"{source}/0/0")
    assert "reason: bad_time\n" in shown.stdout
    assert shown.stdout.endswith('\n\n{"a":1}\n')
    file = tmp_path / "value"
    assert run("show", f"{source}/0/1", "--output", str(file)).returncode == 0
    assert file.read_bytes() == b"\xff"
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/1/2/ "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    sent = run("redrive", f"{source}/0/0", "--edit", EDITOR=str(editor))
    assert (sent.returncode, sent.stdout, sent.stderr) == (
        0, f"{source}/0/0 -> {source}/0/0\n", "1 letters were sent again\n"
    )  # fmt: skip
    assert [record.value for record in read(source)] == [b'{"a":2}']
    unchanged = run("redrive", f"{source}/0/1", "--edit", EDITOR="true")
    assert unchanged.stderr == "stream-app dead-letters: the value was not changed, nothing is sent.\n"
    assert run("drop", f"{source}/0/1").returncode == 0
    assert run("list").stderr == "0 letters\n"
    done = [json.loads(line) for line in run("list", "--done", "--json").stdout.splitlines()]
    assert [(each["redriven_to"], each["dropped_at"] is not None) for each in done] == [
        (f"{source}/0/0", False), (None, True)
    ]  # fmt: skip


def test_many_are_asked_for_and_what_is_meant_must_be_said(run, source, read, tmp_path):
    """Nothing is sent by a command that was not meant so."""
    for arguments, says in [
        (("redrive",), "which letters? Name them, or say --reason, --source, --since, --until or --all."),
        (("redrive", "--all", "--edit"), "--value and --edit take the name of one letter"),
        (("redrive", "x/0/0", "--set", "a=1", "--edit"), "one of --value, --edit and --set or --unset"),
        (("redrive", "x/0/0", "--yes"), "there is no letter x/0/0."),
        (
            ("list", "--since", "yesterday"),
            "yesterday is neither RFC 3339 with an offset nor an age such as 90m, 12h or 7d.",
        ),
    ]:
        refused = run(*arguments)
        assert (refused.returncode, refused.stderr) == (1, f"stream-app dead-letters: {says}\n")
    for stdin in ("n\n", ""):
        assert run("redrive", "--all", stdin=stdin).returncode == 1
    assert read(source) == []
    sent = run("redrive", "--reason", "not_json", "--source", source, "--since", "2026-11-24T08:00:00Z", stdin="y\n")
    assert "Send 1 letters again?" in sent.stdout
    assert [record.value for record in read(source)] == [b"\xff"]
    assert run("drop", "--all", "--yes").stdout == f"{source}/0/0 -> dropped\n"
