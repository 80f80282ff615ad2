"""How fast a pod accepts items beside PocketBase: ``make bench-peers``.

PocketBase (Go, SQLite) is what many people would take instead: a collection
that anyone may add to and nobody may read. Both get the same item over
loopback, in turn, interleaved, and both are left at their defaults otherwise.
They do not promise the same: a pod seals, logs and syncs to disk before it
answers; PocketBase stores in clear and leaves syncing to the operating system
(``synchronous=NORMAL``). Prints figures and ratios of this one run.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from benchmarks import load
from benchmarks.ingest import Target, await_listening, free_port, measure, report, running
from benchmarks.pods import make_body, make_payload, make_pod

CONNECTIONS = (1, 64)
COLLECTION = "observations"
RECORDS = f"/api/collections/{COLLECTION}/records"
MAINTAINER = "maintainer@example.com"


def _ask(port: int, path: str, body: object, token: str = "") -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Authorization": token}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", f"/api/collections{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        found: dict[str, str] = json.load(answer)
    if answer.status != HTTPStatus.OK:
        raise ValueError(f"PocketBase refused {path}: {found}")
    return found


def _field(name: str, value: object) -> dict[str, str]:
    return {"name": name, "type": "text" if isinstance(value, str) else "number"}


def _make_collection(port: int, password: str) -> None:
    """A collection that anyone may add to (an empty rule), and nobody else may do anything with (null)."""
    given = {"identity": MAINTAINER, "password": password}
    token = _ask(port, "/_superusers/auth-with-password", given)["token"]
    fields = [_field(name, value) for name, value in make_payload().items()]
    collection = {"name": COLLECTION, "type": "base", "createRule": "", "fields": fields}
    _ask(port, "", collection, token)


@contextlib.contextmanager
def _pocketbase(program: Path, folder: Path, port: int) -> Iterator[Target]:
    # Of a server on loopback that ends with this program: a command line may show it.
    password = secrets.token_hex(16)
    at = ["--dir", str(folder)]
    subprocess.run(
        [program, "superuser", "upsert", MAINTAINER, password, *at], check=True, capture_output=True
    )
    command = [str(program), "serve", "--http", f"127.0.0.1:{port}", *at]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            await_listening(port)
            _make_collection(port, password)
            yield Target("PocketBase", port, RECORDS, json.dumps(make_payload()).encode(), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


@contextlib.contextmanager
def _pod(folder: Path, port: int) -> Iterator[Target]:
    pod = make_pod(folder)
    with running("ingest", port, str(pod.folder.path)) as server:
        yield Target("pod", port, f"/v4/{pod.owner}/create_item", make_body(pod.key), server.pid)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("program", type=Path, help="PocketBase")
    parser.add_argument("--seconds", type=int, default=3, help="length of each load")
    parser.add_argument("--rounds", type=int, default=5, help="times each is loaded")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=Path.cwd()) as name,
        _pod(Path(name, "home"), free_port()) as pod,
        _pocketbase(given.program, Path(name, "pocketbase"), free_port()) as peer,
    ):
        print(f"load by {load.generator()}, {given.rounds} rounds of {given.seconds} s each")
        for connections in CONNECTIONS:
            results = measure([pod, peer], connections, rounds=given.rounds, seconds=given.seconds)
            report(connections, results, peer.name)
    print("\nA pod answers after fsync; PocketBase does not sync for each answer.")


if __name__ == "__main__":
    main()
