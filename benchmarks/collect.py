"""What segments cost: making one, and collecting many: ``make bench-collect``.

Makes segments as a function does, into folders that stand for a bucket; then
`collect` brings them in, at two sizes, in a process of its own whose processor
time and memory are watched. It has one thread: a processor second is a second
of one core that it has alone. No transport is in it. Prints figures of this one
run.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from benchmarks.commands import run_command
from benchmarks.pods import found_pod, make_payload
from vault.depositing import make_deposit
from vault.invites import list_function, publish
from vault.items import parse_item, server_id
from vault.keys import LogKey
from vault.policies import Policy
from vault.slots import OpenedSlot, lookup_of, open_slot
from vault.submissions import submit

SIZES = (1_000, 10_000)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _make_pod(home: Path) -> tuple[Policy, OpenedSlot, LogKey]:
    founded, function = found_pod(home, "load", schema_policy="infer"), LogKey(os.urandom(32))
    policy = list_function(founded.policy, founded.keys.identity, function.public)
    publish(founded.folder, policy)
    key = founded.invites[0].database_key
    slot = open_slot(policy.slot_by_lookup[lookup_of(key, policy.pod_id)], key, policy.pod_id)
    return policy, slot, function


def _fill(
    store: Path, scratch: Path, policy: Policy, slot: OpenedSlot, function: LogKey, count: int
) -> float:
    """Make and lay out so many segments; return the seconds of processor that making them took."""
    took = 0.0
    for _ in range(count):
        began = time.process_time()
        item = parse_item(make_payload(), make_id=lambda: server_id(_now_ms(), os.urandom(10)))
        deposit = make_deposit(
            policy,
            submit(slot, item),
            file_key=slot.file_key,
            log_key=function,
            now_ms=_now_ms(),
            entropy=os.urandom,
            scratch=scratch,
        )
        took += time.process_time() - began
        path = store / deposit.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(deposit.content)
    return took


def measure(folder: Path, count: int) -> None:
    """Make so many segments in a new pod, collect them, and print what it took."""
    home, store, scratch = folder / "home", folder / "store", folder / "scratch"
    scratch.mkdir(parents=True)
    policy, slot, function = _make_pod(home)
    made = _fill(store, scratch, policy, slot, function, count)
    first = run_command("collect", home, "--from", store, temporary=scratch)
    again = run_command("collect", home, "--from", store, temporary=scratch)
    each_ms = first.cpu_seconds / count * 1000
    print(
        f"{count:>8} {made / count * 1000:>9.2f} {each_ms:>11.2f} {count / first.cpu_seconds:>11,.0f}"
        f" {count / first.seconds:>11,.0f} {first.peak_mb:>8.0f} {again.seconds:>9.1f}"
    )


def main() -> None:
    """Measure each size in a pod of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="*", default=SIZES, help="how many, one pod each")
    asked = parser.parse_args()
    print("          ms of processor a segment   collected a second")
    print("segments    making  collecting  a core's    by the clock  peak MB  again (s)")
    with tempfile.TemporaryDirectory(prefix="bench-collect-") as folder:
        for count in asked.segments:
            measure(Path(folder) / str(count), count)


if __name__ == "__main__":
    main()
