"""Two handlers that validate an item and store nothing, served as the pod is.

``/post/v4/{owner}/create_item`` is an ordinary Litestar ``@post`` with ``body: bytes``;
``/mount/v4/...`` is a Litestar ``@asgi`` mount that reads and sends itself. Both
decode the envelope and check the item with the product's own code; neither
admits, commits or seals. What remains is what the framework costs.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from litestar import Litestar, Response, asgi, post

from ingest.envelope import decode_envelope, refuse_duplicates
from vault.items import parse_item, server_id

_JSON = [(b"content-type", b"application/json")]


def _make_id() -> str:
    return server_id(time.time_ns() // 1_000_000, os.urandom(10))


def validate(body: bytes) -> bytes:
    """Check a request body as the pod does; return the answer's body."""
    envelope = decode_envelope(body)
    refuse_duplicates(body, envelope.payload)
    return f'"{parse_item(envelope.payload, make_id=_make_id).id}"'.encode()


@post("/post/v4/{owner:str}/create_item", status_code=200)
async def null_post(owner: str, body: bytes) -> Response[bytes]:  # noqa: ARG001  # routed, not used
    """The ordinary handler."""
    return Response(validate(body), media_type="application/json")


@asgi("/mount", is_mount=True, copy_scope=False)
async def null_mount(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001  # ASGI
    """The bare one."""
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": _JSON})
    await send({"type": "http.response.body", "body": validate(body)})


app = Litestar([null_post, null_mount], openapi_config=None, logging_config=None)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    Granian(
        "benchmarks.null_server:app",
        port=parser.parse_args().port,
        interface=Interfaces.ASGI,
        loop=Loops.auto,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
