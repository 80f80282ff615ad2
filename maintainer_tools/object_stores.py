"""What the commands that use an object store have in common: the library that asks it, and its verdict."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from maintainer_tools.times import now_ms

if TYPE_CHECKING:
    from cloud.store_address import StoreAddress

DEFAULT_VERDICT = "store.verdict"
"""Where `store certify` writes it unless told otherwise."""


class WayOut(NamedTuple):
    """What a server is told of its store, none of it secret.

    Attributes:
        store: Where items are put.
        key_place: Where the function's log key is read from; a file's path is absolute.
        verdict: What `store certify` wrote, absolute.
    """

    store: StoreAddress
    key_place: str
    verdict: Path

    @property
    def options(self) -> list[str]:
        """On its command line."""
        return ["--store", str(self.store), "--log-key", self.key_place, "--verdict", str(self.verdict)]


def require_library() -> None:
    """Say what to install where no store can be asked.

    Raises:
        click.ClickException: The library is not installed.
    """
    if importlib.util.find_spec("botocore") is None:
        raise click.ClickException("object stores need shared-pod[aws]; install it")


def certified(url: str, verdict: Path) -> StoreAddress:
    """Read the address of a store that may be used.

    Args:
        url: As it was typed.
        verdict: What `store certify` wrote.

    Raises:
        click.ClickException: The library is not installed.
        MalformedError: ``url`` is no store's address, or the verdict of another form.
        MissingError: There is no verdict.
        PolicyError: It does not speak for this store, or was given too long ago.
    """
    require_library()
    from cloud.store_address import parse_store_address
    from cloud.verdicts import require_certified

    address = parse_store_address(url)
    require_certified(verdict, address, now_ms())
    return address
