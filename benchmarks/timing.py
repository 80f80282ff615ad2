"""What the time of a refusal tells: ``make bench-timing``.

A constant 403 hides whether an owner exists, a key is wrong or a slot was
revoked only as far as all of them take equal time. This asks a real server on
this machine, over one kept connection: unknown owner, wrong key, revoked slot,
and the right key with an item that is refused. The bodies are equal but for the
key. Every round asks each once, in a new random order, so that the machine's
noise and drift meet all alike; the wrong key stands there twice, with two keys,
to show how large a difference is that means nothing.

A report, not a test: it prints effect sizes and what they mean, and asserts
nothing. Loopback is the attacker's best case; a network adds noise to all.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
import random
import socket
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.ingest import running
from benchmarks.pods import found_pod, key_of
from tests.support.ports import free_port
from vault.invites import publish, revoke
from vault.pod import PodFolder

WRONG = "wrong key"
WRONG_TWIN = "wrong key again"
UNKNOWN = "unknown owner"
REVOKED = "revoked slot"
REFUSED = "right key, refused"
PAIRS = ((WRONG_TWIN, WRONG), (UNKNOWN, WRONG), (REVOKED, WRONG), (UNKNOWN, REVOKED), (REFUSED, WRONG))
STATUS = {WRONG: 403, WRONG_TWIN: 403, UNKNOWN: 403, REVOKED: 403, REFUSED: 400}

WARM_UP_ROUNDS = 200
BLOCKS = 100
"""Medians are taken in blocks of rounds, and the blocks resampled: drift stays inside a block."""
RESAMPLES = 2_000
NEGLIGIBLE = 0.147
"""|Cliff's delta| below which an effect is called negligible (Romano et al., 2006)."""
_NOETHER = (1.96 + 0.84) ** 2 / 6 * 4
"""Requests of each kind that a rank test needs for 80 % power at 5 %, times delta squared (Noether, 1987)."""

_HEAD = "POST /v4/{owner}/create_item HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
_PAYLOAD = {"type": "Observation", "species": 7, "note": "x" * 200}
"""A species is a text: whoever may write is told 400."""


class Effect(NamedTuple):
    """How two kinds of requests differ in time.

    Attributes:
        difference_us: Of their medians: the mean over the blocks.
        low_us: Where the 95 % interval of that begins (bootstrap over the blocks).
        high_us: Where it ends.
        delta: Cliff's: how much likelier the first is the slower one of two than the faster, -1 to 1.
    """

    difference_us: float
    low_us: float
    high_us: float
    delta: float

    @property
    def is_seen(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.low_us <= 0 <= self.high_us


def _make_requests(home: Path) -> tuple[PodFolder, dict[str, bytes]]:
    """Found a pod with an open and a revoked invite; what is sent for each kind."""
    folder, keys, policy, invites = found_pod(home, "open", "revoked")
    publish(folder, revoke(policy, keys.identity, invites[1].slot))
    right, revoked = map(key_of, invites)
    owner = keys.owner_key.hex
    return folder, {
        WRONG: _request(owner, os.urandom(32).hex()),
        WRONG_TWIN: _request(owner, os.urandom(32).hex()),
        UNKNOWN: _request(os.urandom(32).hex(), right),
        REVOKED: _request(owner, revoked),
        REFUSED: _request(owner, right),
    }


def _request(owner: str, key: str) -> bytes:
    auth = {"type": "ClientAuth", "databaseKey": key}
    body = json.dumps({"auth": auth, "payload": _PAYLOAD}).encode()
    return _HEAD.format(owner=owner, size=len(body)).encode() + body


def _ask_us(connection: socket.socket, request: bytes, status: int) -> float:
    """Send one request; the time until its answer was there whole, in microseconds."""
    began = time.perf_counter_ns()
    connection.sendall(request)
    answer = connection.recv(65_536)
    while not _is_whole(answer):
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError(f"the server ended the connection within an answer: {answer!r}")
        answer += more
    took_us = (time.perf_counter_ns() - began) / 1e3
    if answer.split(b" ", 2)[1] != b"%d" % status:
        raise ValueError(f"{status} was expected, this came: {answer!r}")
    return took_us


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if b"content-length:" in line]
    return len(body) >= int(lengths[0])


def measure(port: int, requests: Mapping[str, bytes], seconds: float) -> dict[str, list[float]]:
    """Ask all kinds in rounds of random order; each kind's times in microseconds, by round."""
    times: dict[str, list[float]] = {kind: [] for kind in requests}
    order = list(requests)
    shuffle = random.SystemRandom().shuffle
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(WARM_UP_ROUNDS):
            for kind in order:
                _ask_us(connection, requests[kind], STATUS[kind])
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            shuffle(order)
            for kind in order:
                times[kind].append(_ask_us(connection, requests[kind], STATUS[kind]))
    return times


def cliffs_delta(first: Sequence[float], second: Sequence[float]) -> float:
    """How much likelier a value of ``first`` is above one of ``second`` than below it, -1 to 1."""
    ordered = sorted(second)
    above = sum(bisect.bisect_left(ordered, value) for value in first)
    below = sum(len(ordered) - bisect.bisect_right(ordered, value) for value in first)
    return (above - below) / (len(first) * len(second))


def effect_of(first: Sequence[float], second: Sequence[float]) -> Effect:
    """Compare two kinds of requests.

    Args:
        first: Times in microseconds, by round, at least ``BLOCKS`` of them.
        second: Of the same rounds.
    """
    size = len(first) // BLOCKS
    starts = range(0, size * BLOCKS, size)
    differences = [
        statistics.median(first[at : at + size]) - statistics.median(second[at : at + size]) for at in starts
    ]
    choose = random.SystemRandom().choices
    means = sorted(statistics.fmean(choose(differences, k=BLOCKS)) for _ in range(RESAMPLES))
    low, high = means[int(RESAMPLES * 0.025)], means[int(RESAMPLES * 0.975)]
    return Effect(statistics.fmean(differences), low, high, cliffs_delta(first, second))


def meaning_of(effect: Effect) -> str:
    """What an effect means for whoever measures it, in a sentence."""
    if not effect.is_seen:
        return "not told apart in this run"
    needed = _NOETHER / effect.delta**2 if effect.delta else float("inf")
    size = "negligible" if abs(effect.delta) < NEGLIGIBLE else "told apart"
    return f"{size}: about {needed:,.0f} requests of each kind tell them apart from this machine"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long it asks")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, requests = _make_requests(Path(name, "home"))
        port = free_port()
        with running("ingest", port, "--throttle", "0", str(folder.path)):
            times = measure(port, requests, given.seconds)
    _report(times)


def _report(times: Mapping[str, Sequence[float]]) -> None:
    rounds = len(times[WRONG])
    load = os.getloadavg()[0]
    print(f"{rounds} rounds, one connection over loopback, {os.cpu_count()} cores, load average {load:.1f}\n")
    print(f"{'':<20}{'p5 us':>9}{'median':>9}{'p95 us':>9}")
    for kind, values in times.items():
        cuts = statistics.quantiles(values, n=20)
        print(f"{kind:<20}{cuts[0]:>9.1f}{statistics.median(values):>9.1f}{cuts[-1]:>9.1f}")
    print(f"\n{'difference of medians':<38}{'us':>8}  {'95 % interval':<18}{'delta':>7}")
    for first, second in PAIRS:
        effect = effect_of(times[first], times[second])
        interval = f"{effect.low_us:.2f} to {effect.high_us:.2f}"
        print(f"{f'{first} - {second}':<38}{effect.difference_us:>8.2f}  {interval:<18}{effect.delta:>7.3f}")
        print(f"  {meaning_of(effect)}")
    print(
        f"\n{WRONG_TWIN!r} differs from {WRONG!r} by the key's bytes alone: that line is this run's noise."
        "\nWho is told 400 holds an open key, and knows it: that line is for scale and hides nothing."
    )


if __name__ == "__main__":
    main()
