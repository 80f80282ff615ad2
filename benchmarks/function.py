"""How fast a function is: ``python -m benchmarks.function``.

The function's process is run by the real runtime client (``awslambdaric``),
which gets its events from a small Runtime API in this process. The store is
one that answers every put at once, in a thread of this process: what is
measured is the function, and a cloud's store takes tens of milliseconds more.
Cold is the import of the function and its first item; warm is one item of
many. Numbers of this machine, and of what else it does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.deploying import Deployed, deploy
from tests.support.pods import new_pod
from tests.support.runtime_api import Runtime, deployed, item_event
from tests.support.stores import Keys, Store, between

COLD_MS, WARM_MS = 600, 10
"""What is asked of a machine that does nothing else."""
OK = 200
IMPORT = """
import time
began, used = time.perf_counter(), time.process_time()
import ingest.function
print(time.perf_counter() - began, time.process_time() - used)
"""


def _timed(runtime: Runtime, event: object) -> float:
    began = time.perf_counter()
    told = runtime.invoke(event)
    taken = time.perf_counter() - began
    if told.kind != "response" or told.content["statusCode"] != OK:
        raise SystemExit(f"the function did not take the item: {told}")
    return taken


def _imported() -> tuple[float, float]:
    """Seconds, and seconds of a processor."""
    ran = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
    taken, used = map(float, ran.stdout.split())
    return taken, used


def _used(runtime: Runtime) -> float:
    """Seconds of a processor that a function's process has used."""
    fields = Path(f"/proc/{runtime.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _line(what: str, seconds: Sequence[float], asked_ms: int | None = None) -> str:
    least, middle = min(seconds) * 1000, statistics.median(seconds) * 1000
    asked = f"; under {asked_ms} ms is asked" if asked_ms else ""
    return f"{what:34} median {middle:7.1f} ms, least {least:7.1f} ms{asked}"


def _measure(site: Deployed, endpoint: str, logs: Path, starts: int, items: int) -> None:
    key = site.invite().database_key.reveal().hex()
    event = item_event(site.pod.owner, key, {"type": "Note", "text": "x" * 200}, {"pod-receipt": "1"})
    firsts, warm, used = [], [], []
    for number in range(starts):
        with deployed(site.environment(endpoint), logs / f"{number}.log") as runtime:
            runtime.wait_until_ready()
            before = _used(runtime)
            firsts.append(_timed(runtime, event))
            used.append(_used(runtime) - before)
            warm += [_timed(runtime, event) for _ in range(items)]
    imports = [_imported() for _ in range(starts)]
    cold = [taken + first for (taken, _), first in zip(imports, firsts, strict=True)]
    print(_line("import", [taken for taken, _ in imports]))
    print(_line("import, of a processor", [used for _, used in imports]))
    print(_line("first item", firsts))
    print(_line("first item, of a processor", used))
    print(_line("cold: import and first item", cold, COLD_MS))
    print(_line("warm: one item, with its promise", warm, WARM_MS))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="processes started")
    parser.add_argument("--items", type=int, default=100, help="items sent to each, warm")
    given = parser.parse_args()
    # Nobody looks at who asks: the store takes everything.
    anybody = Keys("anybody", "anybody")
    with tempfile.TemporaryDirectory() as folder, between("http://127.0.0.1:9") as store:
        store.always = lambda passing: passing.give(OK, [], b"")
        path = Path(folder)
        pod = new_pod(path, policy="infer")
        site = deploy(pod, path, Store(store.endpoint, anybody, "bucket"), anybody)
        _measure(site, store.endpoint, path, given.starts, given.items)
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f} at the end")


if __name__ == "__main__":
    main()
