"""What proof costs: receipts, client ids, and an audit: ``make bench-proof``.

Loads one real server in turn, interleaved, with the same items four times: plain,
with a receipt asked for each, and with client ids, random and ordered by time.
Then fills a vault without HTTP and audits it, items closed and open, at two sizes,
in a process of its own whose processor time and memory are watched. An audit has
one thread: a processor second is a second of one core that it has alone. Prints
figures and ratios of this one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import load
from benchmarks.commands import run_command
from benchmarks.ingest import fdatasync_ms, running
from benchmarks.pods import Pod, make_body, make_pod
from tests.support.ports import free_port
from vault.items import parse_item, server_id
from vault.keys import DatabaseKey
from vault.pod import load_log_key
from vault.policies import load_policy
from vault.properties import Scalar
from vault.slots import lookup_of, open_slot
from vault.store import open_writer
from vault.submissions import submit

CONNECTIONS = 64
BATCH_ITEMS = 64
SHAPES = {
    "plain": load.Shape(),
    "receipts": load.Shape(wants_receipt=True),
    "ordered ids": load.Shape(ids="ordered"),
    "random ids": load.Shape(ids="random"),
}
AUDITS = {"audit": (), "audit --items": ("--items",)}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _with_id(body: bytes) -> bytes:
    """A body of the same length, whose item has an id of its own."""
    filler, mark = b"x" * (len(load.ID_MARK) + len(b',"id":""')), b'","id":"' + load.ID_MARK
    return body.replace(filler + b'"', mark + b'"', 1)


def _measure(port: int, path: str, body: bytes, rounds: int, seconds: int) -> dict[str, list[load.Load]]:
    found: dict[str, list[load.Load]] = {name: [] for name in SHAPES}
    for _ in range(rounds):
        for name, shape in SHAPES.items():
            sent = body if shape.ids == "none" else _with_id(body)
            found[name].append(
                load.run(port, path, sent, connections=CONNECTIONS, seconds=seconds, shape=shape)
            )
    return found


def _report(found: dict[str, list[load.Load]]) -> None:
    print(f"\n{CONNECTIONS} connections   accepted   ratio    p50 ms    p99 ms  refused")
    for name, runs in found.items():
        pairs = zip(runs, found["plain"], strict=True)
        ratio = statistics.median(run.per_second / plain.per_second for run, plain in pairs)
        rate, p50, p99 = (
            statistics.median(getattr(run, field) for run in runs)
            for field in ("per_second", "p50_ms", "p99_ms")
        )
        refused = sum(run.refused for run in runs)
        print(f"  {name:<13}{rate:>10,.0f}/s{ratio:>8.2f}{p50:>10.2f}{p99:>10.2f}{refused:>9}")


def _fill(pod: Pod, items: int) -> None:
    """Store items through the vault's own writer, in batches as a busy server makes them."""
    policy, key = load_policy(pod.folder), DatabaseKey.from_hex(pod.key)
    slot = open_slot(policy.slot_by_lookup[lookup_of(key, policy.pod_id)], key, policy.pod_id)
    log_key = load_log_key(pod.folder)
    writer = open_writer(pod.folder, policy, slot.file_key, log_key, now_ms=_now_ms, entropy=os.urandom)
    payload: dict[str, Scalar | None] = {
        "type": "Observation",
        "species": "Pygoscelis adeliae",
        "mass": 3750.5,
        "note": "x" * 300,
    }
    for _ in range(items // BATCH_ITEMS):
        writer.commit(
            policy,
            [
                submit(slot, parse_item(payload, make_id=lambda: server_id(_now_ms(), os.urandom(10))))
                for _ in range(BATCH_ITEMS)
            ],
        )
    writer.close()


def _audits(folder: Path, sizes: tuple[int, ...], rounds: int) -> None:
    print("\naudit                       items    items a processor second    items/s    most memory MB")
    pod = make_pod(folder / "audited")
    stored = 0
    for items in sizes:
        _fill(pod, items - stored)
        stored = items
        # In turn, so that noise of the machine meets both.
        runs = [
            [
                run_command("audit", folder / "audited", *options, temporary=folder)
                for options in AUDITS.values()
            ]
            for _ in range(rounds)
        ]
        for name, found in zip(AUDITS, zip(*runs, strict=True), strict=True):
            cpu = statistics.median(cost.cpu_seconds for cost in found)
            seconds = statistics.median(cost.seconds for cost in found)
            memory = statistics.median(cost.peak_mb for cost in found)
            print(f"  {name:<17}{items:>14,}{items / cpu:>28,.0f}{items / seconds:>11,.0f}{memory:>18.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=3, help="length of each load")
    parser.add_argument("--rounds", type=int, default=4, help="times each is loaded, and audited")
    parser.add_argument("--items", type=int, default=204_800, help="items of the larger audited vault")
    parser.add_argument("--audits-only", action="store_true", help="leave out what needs a server")
    parser.add_argument("--folder", type=Path, help="where the pods are made; a real disk tells most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder or Path.cwd()) as name:
        folder = Path(name)
        print(
            f"{given.rounds} rounds, {os.cpu_count()} cores, fdatasync of 4 KiB {fdatasync_ms(folder):.2f} ms"
        )
        if not given.audits_only:
            print(f"load by {load.generator()}, {given.seconds} s each")
            pod, port = make_pod(folder / "home"), free_port()
            with running("ingest", port, str(pod.folder.path)):
                path = f"/v4/{pod.owner}/create_item"
                _report(_measure(port, path, make_body(pod.key), given.rounds, given.seconds))
        _audits(folder, (given.items // 4, given.items), given.rounds)


if __name__ == "__main__":
    main()
