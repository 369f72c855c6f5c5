"""Rows of the endpoints: one API process, beside the least its framework can answer and beside the same report from raw orders.

The state is that which the whole path made of the records. Everything that is compared is asked in turn, round by round of the same run, for the machine
is never as fast as it was a minute ago. The requests go over all operators and groups, each operator with a token of its own.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import httpx
import psutil

from bench import raw, wrk
from bench.context import Context, Row, say
from bench.hello import BARE, FRAMEWORK
from bench.load import load
from bench.processes import Server, ready, start_api, token
from bench.raw_report import read_orders
from bench.records import OPERATORS
from bench.wrk import Asked
from config.settings import ROOT
from stream_app.api.description.reference import PREFIX
from stream_app.domain.money import DIGITS
from stream_app.local.errors import LocalError
from stream_app.local.ports import free_port

_ROUNDS = 5
_ROUND_S = 3
_RAW_S = 5.0
_PACED_RATE = 1_000
_PACED_S = 10
HELLO, BARE_NAME = "hello", "bare"


class Round(NamedTuple):
    """What a server took in a while."""

    per_second: float
    per_cpu_second: float


def rows(ctx: Context) -> list[Row]:
    """Requests a second and percentiles of each question, the peers', and the ratios."""
    loaded = load(ctx)
    api, hello = start_api(ctx, loaded.space), _start_hello(ctx)
    asked = _questions(api.address)
    for requests in asked.values():
        for one in requests:
            _ask(api.address, one)
    plain = {HELLO: [Asked("GET", FRAMEWORK, {})], BARE_NAME: [Asked("GET", BARE, {})]}
    rounds = _rounds(
        ctx,
        {name: (api, requests) for name, requests in asked.items()}
        | {name: (hello, requests) for name, requests in plain.items()},
    )
    paced = {name: _paced(ctx, server, requests) for name, server, requests in (
        ("monthlyIndex POST", api, asked["monthlyIndex POST"]), (HELLO, hello, plain[HELLO]), ("monthlyIndex GET", api, asked["monthlyIndex GET"]))}  # fmt: skip
    wanted = [_wanted(api.address, operator) for operator, *_ in OPERATORS]
    for server in (api, hello):
        ctx.stack.stop(server.running)
    say("endpoints: raw orders into ClickHouse")
    orders = read_orders(loaded.space)
    raw.fill_clickhouse(loaded.space, orders)
    peers = {
        "ClickHouse": raw.clickhouse(loaded.space, wanted, _RAW_S),
        "chDB": raw.chdb(ctx.stack, orders, wanted, _RAW_S),
    }
    return [*_endpoint_rows(rounds), *_paced_rows(paced), *_raw_rows(rounds, peers, sum(map(len, orders)))]


def _start_hello(ctx: Context) -> Server:
    port = free_port()
    program = Path(__file__).with_name("hello.py")
    return ready(ctx, ctx.stack.start("hello", [sys.executable, program, str(port)], {}), port, BARE)


# -- what is asked


def _questions(address: str) -> dict[str, list[Asked]]:
    """Requests by name: of every operator and group, each operator's with its own token."""
    found: dict[str, list[Asked]] = {}
    for operator, *_ in OPERATORS:
        headers = {"Authorization": f"Bearer {token(operator)}"}
        listed = json.loads(_ask(address, Asked("POST", f"{PREFIX}/groups", headers))["body"])["data"]["groups"]
        for group in (entry["groupId"] for entry in listed):
            body = json.dumps({"operatorId": operator, "groupId": group})
            query = f"operatorId={operator}&groupId={quote(group)}"
            for name in ("monthlyIndex", "chargingDistribute"):
                found.setdefault(f"{name} POST", []).append(Asked("POST", f"{PREFIX}/{name}", headers, body))
            got = Asked("GET", f"{PREFIX}/monthlyIndex?{query}", headers)
            found.setdefault("monthlyIndex GET", []).append(got)
            tag = _ask(address, got)["etag"]
            unchanged = got._replace(headers=headers | {"If-None-Match": tag}, status=304)
            found.setdefault("monthlyIndex GET, 304", []).append(unchanged)
    return found


def _ask(address: str, one: Asked) -> Mapping[str, str]:
    """Headers of the answer, with its body as `body`. `Raises` LocalError when it has another status."""
    answer = httpx.request(
        one.method, address + one.path, content=one.body or None, headers=one.headers, timeout=10, trust_env=False
    )
    if answer.status_code != one.status:
        raise LocalError(
            f"endpoints: {one.method} {one.path} is answered by {answer.status_code}: {answer.content[:200]!r}"
        )
    return {**answer.headers, "body": answer.text}


# -- how it is measured


def _rounds(ctx: Context, asked: Mapping[str, tuple[Server, Sequence[Asked]]]) -> dict[str, list[Round]]:
    """Every question once in each round."""
    program, found = wrk.install(ctx.stack.run.lib), {name: [] for name in asked}
    scripts = {name: ctx.stack.run.root / f"{number}.lua" for number, name in enumerate(asked)}
    for name, (_, requests) in asked.items():
        scripts[name].write_text(wrk.script(requests))
    for number in range(_ROUNDS + 1):
        say(f"endpoints: round {number} of {_ROUNDS}" if number else "endpoints: warming up")
        for name, (server, _) in asked.items():
            before = _cpu_s(server)
            counted = wrk.run(program, server.address, scripts[name], _ROUND_S if number else 1)
            if number:
                found[name].append(
                    Round(counted.requests / counted.seconds, counted.requests / (_cpu_s(server) - before))
                )
    return found


def _cpu_s(server: Server) -> float:
    times = psutil.Process(server.running.process.pid).cpu_times()
    return times.user + times.system


def _paced(ctx: Context, server: Server, requests: Sequence[Asked]) -> dict[str, float]:
    say(f"endpoints: {_PACED_RATE:,} requests a second for {_PACED_S} s")
    file = ctx.stack.run.root / "requests.json"
    file.write_text(json.dumps([one._asdict() for one in requests]))
    program = Path(__file__).with_name("paced.py")
    done = subprocess.run(
        [sys.executable, program, server.address, file, str(_PACED_RATE), str(_PACED_S)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=_PACED_S + 60,
    )  # fmt: skip
    if done.returncode:
        raise LocalError(f"endpoints: {done.stderr[-500:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _wanted(address: str, operator: str) -> raw.Wanted:
    """What the endpoint says of an operator, in integers."""
    one = Asked("POST", f"{PREFIX}/monthlyIndex", {"Authorization": f"Bearer {token(operator)}"}, "{}")
    data = json.loads(_ask(address, one)["body"])["data"]
    digits = DIGITS[data["currency"]]

    def minor(month: Mapping[str, str], name: str) -> int:
        return round(float(month[name]) * 10**digits)

    figures = {
        int(month["month"].replace("-", "")): (
            *(minor(month, name) for name in ("receivedAmount", "discountAmount", "refundedAmount")),
            *(month["paymentCount"], month["payingCustomers"], minor(month, "anonymousAmount")),
            *(month["sessionCount"], month["chargingCustomers"], month["anonymousSessionCount"]),
        )
        for month in data["months"]
    }
    return raw.Wanted(operator, data["timezone"], data["currency"], min(figures), figures)


# -- what is shown


def _endpoint_rows(rounds: Mapping[str, Sequence[Round]]) -> list[Row]:
    hello = rounds[HELLO]
    found = []
    for name, own in rounds.items():
        share = statistics.median(one.per_second / other.per_second for one, other in zip(own, hello, strict=True))
        cpu = statistics.median(
            one.per_cpu_second / other.per_cpu_second for one, other in zip(own, hello, strict=True)
        )
        shown = {HELLO: "hello by FastAPI", BARE_NAME: "hello by the server alone"}.get(name, name)
        note = (
            ""
            if name == HELLO
            else f"{share:.0%} of hello by FastAPI ({cpu:.0%} by CPU), median of {len(own)} rounds side by side"
        )
        found.append(
            Row("endpoints", shown, f"{statistics.median(one.per_second for one in own):,.0f} requests/s", note)
        )
    return found


def _paced_rows(paced: Mapping[str, Mapping[str, float]]) -> list[Row]:
    return [
        Row(
            "endpoints",
            f"{name} at {_PACED_RATE:,} a second",
            f"p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms",
            f"max {found['max']:.1f} ms, of {found['requests']:,} requests, from when each was due",
        )
        for name, found in paced.items()
    ]


def _raw_rows(rounds: Mapping[str, Sequence[Round]], peers: Mapping[str, raw.Peer], records: int) -> list[Row]:
    ours = statistics.median(one.per_second for one in rounds["monthlyIndex POST"])
    return [
        Row(
            "endpoints",
            f"the report from raw orders, {name} {peer.version}",
            f"{peer.reports / peer.seconds:,.1f} reports/s",
            f"{ours * peer.seconds / peer.reports:,.0f} times fewer than monthlyIndex POST; {records:,} orders, one operator's are read, the latest of each counted; "
            f"equal to the endpoint's figures",
        )
        for name, peer in peers.items()
    ]
