"""`serve --store`: what it says before it becomes the server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from maintainer_tools import serve
from maintainer_tools.object_stores import WayOut
from tests.support.maintaining import run
from tests.support.pods import make_pod


@pytest.mark.parametrize(("host", "is_warned"), [("127.0.0.1", False), ("0.0.0.0", True)])  # noqa: S104
def test_a_public_address_in_clear_is_said(
    monkeypatch: pytest.MonkeyPatch, host: str, *, is_warned: bool
) -> None:
    """As of a server with a vault: whoever is on the way reads keys and items."""
    make_pod(Path("plants"))
    became: list[str] = []

    def become(_: Sequence[str], module: str = "ingest") -> NoReturn:
        became.append(module)
        raise SystemExit(0)

    monkeypatch.setattr(serve, "become_server", become)
    monkeypatch.setattr(serve, "certified", lambda *_: None)
    monkeypatch.setattr(WayOut, "options", ())
    ended = run("serve", "plants", "--host", host, "--store", "s3://finds", "--log-key", "file:key")

    assert became == ["ingest.gateway"]
    assert f"Serving 1 pod at {host}" in ended.err
    assert any(line.startswith("warn") for line in ended.err.splitlines()) is is_warned
