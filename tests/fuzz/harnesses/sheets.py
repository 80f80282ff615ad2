"""Recovery sheets, as people copied them, or words of other people's shares.

Promises: a share that is read is one of ours, to the bit; its words make the
same share again; an error never repeats what was given, so that nobody's
secret ends in a terminal's memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import shamir_mnemonic as slip39
from shamir_mnemonic.wordlist import WORD_INDEX_MAP

from maintainer_tools.exits import CredentialsMissingError
from maintainer_tools.share_sheets import Sheet, format_sheet, parse_sheet
from maintainer_tools.shares import WORDS, Share, join, require_fits
from tests.fuzz.target import Shape, Target
from tests.vectors import world
from tests.vectors.founding import policy
from vault.errors import FormatTooNewError, MalformedError

_MADE_MS = 1_763_700_000_000


def run(data: bytes) -> None:
    """Read the sheet, and use its share."""
    text = data.decode("utf-8", "replace")
    try:
        sheet = parse_sheet(text)
    except (MalformedError, FormatTooNewError) as exc:
        _require_not_repeated(text, str(exc))
        return
    share = sheet.share
    assert parse_sheet(" ".join(share.words)) == Sheet(share, None)
    assert len(share.words) == WORDS
    assert all(word in WORD_INDEX_MAP for word in share.words)
    assert " ".join(share.words[2:]) not in repr(share)
    found = slip39.Share.from_mnemonic(" ".join(share.words))
    assert (found.index + 1, found.member_threshold, len(found.value)) == (share.number, share.needs, 32)
    parameters = (found.extendable, found.iteration_exponent, found.group_index, found.group_threshold)
    assert (*parameters, found.group_count) == (True, 1, 0, 1, 1)
    assert share.needs >= 2
    again = parse_sheet(format_sheet(share, policy=_POLICY, shares=16, made_ms=_MADE_MS))
    assert again == Sheet(share, _POLICY.pod_id)
    _join_with_others(share)


def _join_with_others(share: Share) -> None:
    for others in ([share], [share, share], [share, *_OURS]):
        try:
            join(others)
        except (CredentialsMissingError, MalformedError) as exc:
            _require_not_repeated(" ".join(share.words[2:]), str(exc))
        else:
            assert share.needs <= len(others)
    for other in _OURS:
        try:
            require_fits(share, [other])
        except MalformedError:
            continue


def _require_not_repeated(text: str, sentence: str) -> None:
    """No three words that follow each other in what was given do so in what is said of it."""
    words = re.findall(r"[a-z]{4,}", text.lower())
    runs = {" ".join(words[at : at + 3]) for at in range(len(words) - 2)}
    said = " ".join(re.findall(r"[a-z]{4,}", sentence.lower()))
    assert not [run for run in runs if run in said and run not in _SAID], sentence


_SAID = (
    "share sheet words compare them with paper text is not one of the list shared recovery later version "
    "update this program"
)
"""Our own words, which somebody's text may have too."""
_POLICY = policy()


def _mnemonic(*parts: int, value: bytes) -> str:
    """The words of a share; parts are identifier, exponent, group and member numbers and thresholds."""
    identifier, exponent, group, groups_needed, groups, member, needed, extendable = parts
    share = slip39.Share(
        identifier=identifier % 2**15,
        extendable=bool(extendable % 2),
        iteration_exponent=exponent % 16,
        group_index=group % 16,
        group_threshold=groups_needed % 16 + 1,
        group_count=groups % 16 + 1,
        index=member % 16,
        member_threshold=needed % 16 + 1,
        value=value,
    )
    return str(share.mnemonic())


def _split_share(data: bytes) -> list[bytes]:
    share = slip39.Share.from_mnemonic(" ".join(parse_sheet(data.decode()).share.words))
    numbers = (
        share.identifier,
        share.iteration_exponent,
        share.group_index,
        share.group_threshold - 1,
        share.group_count - 1,
        share.index,
        share.member_threshold - 1,
        share.extendable,
    )
    return [*(int(number).to_bytes(2, "big") for number in numbers), share.value]


def _join_share(fields: list[bytes]) -> bytes:
    """A share whose checksum holds, whatever it is of."""
    *numbers, value = (*fields, *[b""] * 9)[:9]
    whole = (value + bytes(32))[: max(16, min(len(value), 64)) & ~1]
    return _mnemonic(*(int.from_bytes(number[:4], "big") for number in numbers), value=whole).encode()


def _shares() -> list[Share]:
    """Two of three, the same in every run."""
    secret = world.IDENTITY.reveal()
    parts = [(1, 1, 0, 0, 0, member, 1, 1) for member in range(3)]
    values = [bytes(byte ^ member for byte in secret) for member in range(3)]
    return [
        parse_sheet(_mnemonic(*numbers, value=value)).share
        for numbers, value in zip(parts, values, strict=True)
    ]


_OURS = _shares()


def _seeds() -> Iterator[bytes]:
    for share in _OURS:
        yield " ".join(share.words).encode()
        yield format_sheet(share, policy=_POLICY, shares=3, made_ms=_MADE_MS).encode()
    words = list(_OURS[0].words)
    yield " ".join([*words[:5], words[6], words[5], *words[7:]]).encode()
    yield " ".join([*words[:5], words[7], *words[6:]]).encode()
    yield " ".join(f"{number}. {word.upper()}" for number, word in enumerate(words, 1)).encode()
    yield b"shared-pod recovery share, version 2\n"
    yield b"academic acid"


TARGET = Target(
    run,
    _seeds,
    4_096,
    (Shape(_split_share, _join_share), Shape(lambda data: data.split(b" "), b" ".join)),
)
