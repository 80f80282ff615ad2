"""GET /version: what this server is, and the limits every request has.

Nothing about any pod: that would list them. FORMAT.md, "The wire".
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import PackageNotFoundError, version

from ingest.asgi import Application, Receive, Reply, json_reply
from ingest.door import Call, Door
from vault.items import MAX_FIELDS

PATH = "/version"
SERVICE = "shared-pod"


def _package_version() -> str:
    try:
        return version(SERVICE)
    except PackageNotFoundError:
        return "0+source"


def version_reply(max_body_bytes: int) -> Reply:
    """The one answer of a server's lifetime; ``cargo`` and ``git_describe`` are the original's names."""
    return json_reply(
        {
            "cargo": _package_version(),
            "git_describe": None,
            "service": SERVICE,
            "api": ["create_item", "version"],
            "limits": {"max_body_bytes": max_body_bytes, "max_fields": MAX_FIELDS},
        }
    )


def version_call(door: Door) -> Application:
    """The call as an application: what its route leads to."""
    reply = version_reply(door.bodies.max_bytes)

    async def handle(_door: Door, _call: Call, _receive: Receive) -> Reply:
        return reply

    return partial(door.answer, handle)
