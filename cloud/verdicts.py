"""Verdicts: what ``store certify`` found out about one object store, and for how long that counts.

Some stores ignore a put's condition, some let several racing writers win: a
server that puts items into one, and a collection from it, ask for a verdict
first. A file of the maintainer's own machine, JSON for people and programs;
it proves nothing to anybody else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from cloud.store_address import StoreAddress, parse_store_address
from vault.errors import MalformedError, MissingError, PolicyError
from vault.files import read_file, replace_file

_MS_A_DAY = 86_400_000
FRESH_MS = 90 * _MS_A_DAY
"""A quarter of a year: stores are upgraded, and buckets configured, behind an address that stays."""
MOST_VERDICT_BYTES = 1 << 20
_FORMAT = "shared-pod/store-verdict/v1"


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried.

    Attributes:
        name: What.
        is_passed: Whether the store did as it must.
        said: What was seen, a sentence.
    """

    name: str
    is_passed: bool
    said: str


class Verdict(msgspec.Struct, frozen=True):
    """What was found out.

    Attributes:
        store: The store's address, written.
        at_ms: When, UTC milliseconds.
        configuration: The bucket's, as the store told it: versioning, lock, encryption.
        checks: Everything that was tried.
        format: Of this file.
    """

    store: str
    at_ms: int
    configuration: dict[str, str]
    checks: tuple[Check, ...]
    format: str = _FORMAT

    @property
    def is_accepted(self) -> bool:
        """Whether the store did all that it must."""
        return bool(self.checks) and all(check.is_passed for check in self.checks)


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write a verdict, in place of one before.

    Raises:
        StorageError: It cannot be written.
    """
    replace_file(path, msgspec.json.format(msgspec.json.encode(verdict), indent=2) + b"\n")


def read_verdict(path: Path) -> Verdict:
    """Read a verdict.

    Raises:
        MissingError: There is none.
        MalformedError: It is of another form.
        StorageError: It cannot be read.
    """
    content = read_file(path, MOST_VERDICT_BYTES, may_be_pipe=True)
    try:
        verdict = msgspec.json.decode(content, type=Verdict)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise MalformedError(f"{path.name} is no verdict of `store certify`; run it again") from exc
    if verdict.format != _FORMAT:
        raise MalformedError(f"{path.name} is a verdict of another version; run `store certify` again")
    return verdict


def require_accepted(verdict: Verdict, address: StoreAddress, now_ms: int) -> None:
    """Refuse a store that a verdict does not speak for.

    Args:
        verdict: Of ``read_verdict``.
        address: Of the store that is to be used.
        now_ms: UTC milliseconds.

    Raises:
        PolicyError: It is about another bucket, another way there or another
            rule for tags, the store was not accepted, or it is older than
            ``FRESH_MS`` or of the future.
    """
    certified = parse_store_address(verdict.store)
    # Of the prefix nothing depends, of the order of the ways neither.
    if _essence(certified) != _essence(address):
        raise PolicyError(
            "the verdict is about another store, or another way to it; run `store certify` for this one"
        )
    if not verdict.is_accepted:
        failed = ", ".join(check.name for check in verdict.checks if not check.is_passed)
        raise PolicyError(
            f"the store was not accepted ({failed or 'nothing was tried'}); items could be lost in it"
        )
    if not 0 <= now_ms - verdict.at_ms <= FRESH_MS:
        raise PolicyError(
            f"the verdict about the store is older than {FRESH_MS // _MS_A_DAY} days, or of the future by "
            "this machine's clock; run `store certify` again"
        )


def require_certified(path: Path, address: StoreAddress, now_ms: int) -> None:
    """Refuse a store for which no verdict in a file speaks; see ``read_verdict``, ``require_accepted``.

    Raises:
        MissingError: There is no such file.
        MalformedError: It is of another form.
        PolicyError: It does not speak for the store.
        StorageError: It cannot be read.
    """
    try:
        verdict = read_verdict(path)
    except MissingError as exc:
        raise MissingError(
            f"no verdict about this store is in {path}; run `shared-pod store certify` first"
        ) from exc
    require_accepted(verdict, address, now_ms)


def _essence(address: StoreAddress) -> tuple[str, frozenset[str], str | None, bool]:
    return address.bucket, frozenset(address.endpoints), address.region, address.keeps_tags
