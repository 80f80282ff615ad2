"""What a home remembers of its recovery shares: when they were made, and when they were tried.

Paper that nobody ever tried is a hope. `check` warns until shares were tried, and
again when they are of an earlier identity, or the drill is long ago. The file
holds nothing secret and proves nothing to others, so it is not signed: who can
write it can write the identity beside it. FORMAT.md, "Recovery shares".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from maintainer_tools.times import MS_A_DAY, iso_day
from vault.errors import FormatTooNewError, MalformedError, MissingError
from vault.files import read_file, replace_file
from vault.opening import Identity

RECORD_FILE = "recovery.json"
STALE_DAYS = 365
"""A drill is good for a year: people move, drawers are emptied."""

_FORMAT = 1
_MOST_BYTES = 4096


class _Versioned(msgspec.Struct):
    format: int


class Record(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One set of shares, the newest made or tried.

    Attributes:
        format: 1.
        recipient: Lower-case hex of the kid of the identity they are of.
        set: The two words that its shares begin with.
        made_ms: When they were made; None if that was another home.
        drilled_ms: When they were tried last; None if never.
    """

    format: Annotated[int, msgspec.Meta(ge=1)]
    recipient: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    set: Annotated[str, msgspec.Meta(pattern=r"\A[a-z]+ [a-z]+\Z")]
    made_ms: int | None = None
    drilled_ms: int | None = None


def note_made(home: Path, identity: Identity, set_words: str, now_ms: int) -> None:
    """Remember that shares were made, and not tried yet.

    Raises:
        StorageError: The file cannot be written.
    """
    _write(home, Record(_FORMAT, identity.recipient.kid.hex(), set_words, made_ms=now_ms))


def note_drilled(home: Path, identity: Identity, set_words: str, now_ms: int) -> None:
    """Remember that shares were tried and open the pod.

    Raises:
        FormatTooNewError: A later version keeps other things there.
        StorageError: The file cannot be read or written.
    """
    recipient = identity.recipient.kid.hex()
    try:
        before = read_record(home)
    except (MalformedError, MissingError):
        before = None
    is_same = before is not None and (before.recipient, before.set) == (recipient, set_words)
    made_ms = before.made_ms if before is not None and is_same else None
    _write(home, Record(_FORMAT, recipient, set_words, made_ms, now_ms))


def read_record(home: Path) -> Record:
    """Read what a home remembers.

    Raises:
        MissingError: Nothing.
        MalformedError: The file is not of its format.
        FormatTooNewError: A later version wrote it.
        StorageError: It cannot be read.
    """
    raw = read_file(home / RECORD_FILE, _MOST_BYTES)
    try:
        if msgspec.json.decode(raw, type=_Versioned).format > _FORMAT:
            raise FormatTooNewError(f"{RECORD_FILE}: a later version wrote it; update this program")
        return msgspec.json.decode(raw, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedError(f"{RECORD_FILE}: it is not of its format; a drill writes it anew") from exc


def warning_of(home: Path, identity: Identity, now_ms: int) -> str | None:
    """What is to be said about a home's recovery shares; None if they were tried within a year.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        record = read_record(home)
    except MissingError:
        return "if this home were lost: no recovery shares were made; `recovery make` makes them"
    except (FormatTooNewError, MalformedError) as exc:
        return str(exc)
    if record.recipient != identity.recipient.kid.hex():
        return (
            f'the recovery shares "{record.set}" are of an earlier identity; make new ones by `recovery make`'
        )
    if record.drilled_ms is None:
        return f'the recovery shares "{record.set}" were never tried; `recovery drill` tries them'
    if now_ms - record.drilled_ms > STALE_DAYS * MS_A_DAY:
        day = iso_day(record.drilled_ms)
        return (
            f'the recovery shares "{record.set}" were last tried on {day}; try them again by `recovery drill`'
        )
    return None


def _write(home: Path, record: Record) -> None:
    replace_file(home / RECORD_FILE, msgspec.json.encode(record) + b"\n")
