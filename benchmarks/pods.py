"""The pods that are measured, and the item they are sent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from vault.caveats import Caveats
from vault.founding import Founding, draw_keys, found_home
from vault.invites import issue, publish
from vault.links import Invite
from vault.pod import PodFolder
from vault.policies import Policy

ITEM_BYTES = 400
"""Size of the item on the wire, without the envelope's auth."""
UNLIMITED = Caveats(max_items=1 << 40, max_bytes=1 << 50)
URL = "http://127.0.0.1"
POD_TOML = """format = 1
owner_key = "{owner}"
name = "benchmark"
url = "http://127.0.0.1"
policy = "{policy}"
[properties.species]
type = "Text"
[properties.mass]
type = "Real"
[properties.count]
type = "Integer"
[properties.note]
type = "Text"
"""


class Founded(NamedTuple):
    """A new pod with invites of no limits.

    Attributes:
        folder: The pod.
        keys: Its maintainer's.
        policy: Published; names the invites.
        invites: In the order of their names.
    """

    folder: PodFolder
    keys: Founding
    policy: Policy
    invites: list[Invite]


def found_pod(home: Path, *names: str, schema_policy: str = "extend") -> Founded:
    """Found a pod and issue an invite of each name."""
    keys = draw_keys(os.urandom)
    pod_toml = POD_TOML.format(owner=keys.owner_key.hex, policy=schema_policy).encode()
    policy = found_home(home, keys, pod_toml, passphrase=None, entropy=os.urandom)
    invites = []
    for name in names:
        policy, invite = issue(
            policy, keys.identity, name=name, caveats=UNLIMITED, url=URL, entropy=os.urandom
        )
        invites.append(invite)
    folder = PodFolder(home / "pod")
    publish(folder, policy)
    return Founded(folder, keys, policy, invites)


class Pod(NamedTuple):
    """A new pod with one invite."""

    folder: PodFolder
    owner: str
    key: str


def make_pod(home: Path) -> Pod:
    """Found a pod and issue an invite without limits."""
    founded = found_pod(home, "load")
    return Pod(founded.folder, founded.keys.owner_key.hex, key_of(founded.invites[0]))


def key_of(invite: Invite) -> str:
    """Its database key as clients send it: hex."""
    return invite.database_key.reveal().hex()


def make_payload() -> dict[str, str | float | int]:
    """An item of ``ITEM_BYTES`` bytes as compact JSON, without an id."""
    payload: dict[str, str | float | int] = {
        "type": "Observation",
        "species": "Pygoscelis adeliae",
        "mass": 3750.5,
        "count": 7,
        "note": "",
    }
    payload["note"] = "x" * (ITEM_BYTES - len(json.dumps(payload, separators=(",", ":"))))
    return payload


def make_body(key: str) -> bytes:
    """A request body with the item; the server makes its id."""
    envelope = {"auth": {"type": "ClientAuth", "databaseKey": key}, "payload": make_payload()}
    return json.dumps(envelope, separators=(",", ":")).encode()
