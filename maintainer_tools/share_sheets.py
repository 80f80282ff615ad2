"""The sheet of paper with one share on it, and how such a sheet is read again.

A sheet says to whoever finds it in ten years what it is and what to do with it.
It is plain ASCII where the pod's name is, so that any printer prints it, and its words
stand in numbered columns, as people copy them. FORMAT.md, "Recovery shares".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from maintainer_tools.console import clean
from maintainer_tools.shares import WORDS, Share, read_share
from maintainer_tools.times import iso_day
from vault.errors import FormatTooNewError, MalformedError
from vault.keys import PodId
from vault.policies import Policy

MAX_SHEET_BYTES = 16_384
"""Ten times what a sheet has."""

_ROWS = 11
_COLUMNS = WORDS // _ROWS
_WORD_WIDTH = 12
_MARK = "shared-pod recovery share, version"
_VERSION = "1"
_FIRST_LINE = re.compile(rf"^[ \t]*{_MARK} ([1-9][0-9]{{0,8}})\s*$", re.MULTILINE)
_POD_LINE = re.compile(r"^ *pod id +([0-9a-f]{64}) *$", re.MULTILINE)
_WORD_LINE = re.compile(r"\A *(?:[0-9]{1,2} +[A-Za-z]+ *)+\Z")

_SHEET = """{mark} {version}

  pod     {name}
  pod id  {pod_id}
  made    {day}
  share   {number} of {shares}; any {needs} of them are needed
  set     {set}

{words}

This is one part of the secret that opens the pod named above. {needs} parts of this set open all
of it, fewer tell nothing. Keep the parts at different places. If one is lost or was seen by
somebody, make a new set while the home is there, and destroy every part of this one: parts
do not expire.

To bring the pod back, with shared-pod installed, any copy of the pod's folder, and {needs} parts:

  shared-pod recover HOME --pod FOLDER --shares

It asks for the words, without showing them, and says which one is mistyped. To try the
parts while nothing is lost:

  shared-pod recovery drill HOME

Without shared-pod: the words are SLIP-39, without a passphrase, and give 32 bytes. They are
the 64 hexadecimal digits of the pod's identity.
"""


class Sheet(msgspec.Struct, frozen=True):
    """A share as it was written down.

    Attributes:
        share: The share.
        pod_id: The pod that the sheet names; None where there were words alone.
    """

    share: Share
    pod_id: PodId | None


def format_sheet(share: Share, *, policy: Policy, shares: int, made_ms: int) -> str:
    """The text of one sheet. Secret.

    Args:
        share: What stands on it.
        policy: Of the pod whose identity was split.
        shares: How many there are of the set.
        made_ms: When they were made, UTC milliseconds.
    """
    return _SHEET.format(
        mark=_MARK,
        version=_VERSION,
        name=clean(policy.config.name),
        pod_id=policy.pod_id.hex(),
        day=iso_day(made_ms),
        number=share.number,
        shares=shares,
        needs=share.needs,
        set=share.set,
        words="\n".join(_rows(share.words)),
    )


def _rows(words: Sequence[str]) -> Iterator[str]:
    for row in range(_ROWS):
        numbers = range(row, WORDS, _ROWS)
        cells = (f"{number + 1:>4} {words[number]:<{_WORD_WIDTH}}" for number in numbers)
        yield "".join(cells).rstrip()


def parse_sheet(text: str) -> Sheet:
    """Read a sheet as ``format_sheet`` makes it, or the words of one share alone.

    Args:
        text: Untrusted.

    Raises:
        FormatTooNewError: It is a sheet of a later version.
        MalformedError: There is no share on it; which word is at fault is said
            if it can be told.
    """
    text = text.replace("\r\n", "\n")
    versions = _FIRST_LINE.findall(text)
    if not versions:
        return Sheet(read_share(text), None)
    if versions[0] != _VERSION:
        raise FormatTooNewError("a recovery share of a later version of shared-pod; update this program")
    if len(versions) > 1:
        raise MalformedError("one share on a sheet was expected, this file has several; cut it into files")
    share = read_share(" ".join(_numbered(text)))
    named = _POD_LINE.search(text)
    return Sheet(share, PodId(bytes.fromhex(named[1])) if named else None)


def _numbered(text: str) -> list[str]:
    """The words of a sheet in the order of their numbers: its columns are read downwards."""
    pairs = [
        (int(number), word)
        for line in text.splitlines()
        if _WORD_LINE.match(line)
        for number, word in re.findall(r"([0-9]+) +([A-Za-z]+)", line)
    ]
    if sorted(number for number, _ in pairs) != list(range(1, WORDS + 1)):
        raise MalformedError(f"a sheet has {WORDS} words, each with its number; compare it with the paper")
    return [word for _, word in sorted(pairs)]
