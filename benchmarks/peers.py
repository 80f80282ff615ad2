"""How fast a pod accepts items beside PocketBase: ``make bench-peers``.

PocketBase (Go, SQLite) is what many people would take instead: a collection
that may be added to and that nobody may read. Two of them are measured: one that
anyone may add to, and one that asks for a key, as a pod does, by a rule that
looks it up among a hundred others. All get the same item over loopback, in turn,
interleaved, and are left at their defaults otherwise.
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
from benchmarks.ingest import Target, await_listening, machine, measure, report, running
from benchmarks.pods import make_body, make_payload, make_pod
from tests.support.ports import free_port

CONNECTIONS = (1, 64)
OPEN, INVITED, INVITES = "open", "invited", "invites"
MAINTAINER = "maintainer@example.com"
WITH_A_KEY = f"@collection.{INVITES}.key ?= @request.body.key"
"""The rule of who may add: whoever sends a key that is among the invites."""
INVITE_COUNT = 100
"""About as many invites as a community's pod has."""


def _records(collection: str) -> str:
    return f"/api/collections/{collection}/records"


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


def _make_collections(port: int, password: str) -> str:
    """Make one that anyone may add to and one that asks for a key; nobody may do more. Returns a key."""
    given = {"identity": MAINTAINER, "password": password}
    token = _ask(port, "/_superusers/auth-with-password", given)["token"]
    keyed = {
        "name": INVITES,
        "type": "base",
        "fields": [_field("key", "")],
        "indexes": [f"CREATE UNIQUE INDEX invites_key ON {INVITES} (key)"],
    }
    _ask(port, "", keyed, token)
    keys = [secrets.token_hex(32) for _ in range(INVITE_COUNT)]
    for key in keys:
        _ask(port, f"/{INVITES}/records", {"key": key}, token)
    fields = [_field(name, value) for name, value in make_payload().items()]
    for name, rule in ((OPEN, ""), (INVITED, WITH_A_KEY)):
        _ask(port, "", {"name": name, "type": "base", "createRule": rule, "fields": fields}, token)
    return keys[0]


def _check_that_it_asks(port: int) -> None:
    """See that without a key nothing is taken: else the wrong thing would be measured."""
    try:
        _ask(port, f"/{INVITED}/records", make_payload())
    except ValueError:
        return
    raise ValueError("PocketBase took an item without a key")


@contextlib.contextmanager
def _pocketbase(program: Path, folder: Path, port: int) -> Iterator[list[Target]]:
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
            key = _make_collections(port, password)
            _check_that_it_asks(port)
            payload = make_payload()
            yield [
                Target("PocketBase", port, _records(OPEN), json.dumps(payload).encode(), process.pid),
                Target(
                    "with a key",
                    port,
                    _records(INVITED),
                    json.dumps({"key": key, **payload}).encode(),
                    process.pid,
                ),
            ]
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
        _pocketbase(given.program, Path(name, "pocketbase"), free_port()) as peers,
    ):
        print(f"load by {load.generator()}, {given.rounds} rounds of {given.seconds} s each, {machine()}")
        for connections in CONNECTIONS:
            results = measure([pod, *peers], connections, rounds=given.rounds, seconds=given.seconds)
            report(connections, results, peers[0].name)
    print("\nA pod answers after fsync; PocketBase does not sync for each answer.")


if __name__ == "__main__":
    main()
