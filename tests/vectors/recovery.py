"""Vectors of recovery shares, the sheets they stand on, and what a home remembers of them.

SLIP-39's own vectors are its authors'; these are what we ask of a share besides.
FORMAT.md, "Recovery shares".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import shamir_mnemonic.shamir as slip39
from shamir_mnemonic.share import Share

from maintainer_tools.shares import WORDS
from tests.vectors import world
from tests.vectors.family import Family, Vector, flipped
from vault.errors import ForeignPodError, FormatTooNewError, MalformedError

_MARK = "shared-pod recovery share, version 1"
_MOST_NEEDED = 16


def _made(name: str, needs: int, count: int, secret: bytes | None = None, **parameters: Any) -> list[str]:
    """Shares of an identity, the same in every run."""
    drawn, slip39.RANDOM_BYTES = slip39.RANDOM_BYTES, world.entropy(f"shares {name}")
    try:
        groups: list[list[str]] = slip39.generate_mnemonics(
            1,
            [(needs, count)],
            world.IDENTITY.reveal() if secret is None else secret,
            **{"iteration_exponent": 1, **parameters},
        )
    finally:
        slip39.RANDOM_BYTES = drawn
    return groups[0]


def _other(words: str, **members: Any) -> str:
    """A share with other members and a checksum that holds."""
    share = Share.from_mnemonic(words)
    mnemonic: str = Share(**{**share.__dict__, **members}).mnemonic()
    return mnemonic


def _facts(words: str, number: int, needs: int) -> dict[str, Any]:
    return {"set": " ".join(words.split()[:2]), "number": number, "needs": needs}


def _numbered(words: str, columns: int = 3) -> str:
    """The words in numbered columns, as a sheet has them."""
    found, rows = words.split(), WORDS // columns
    lines = ("".join(f"{at + 1:>4} {found[at]:<12}" for at in range(row, WORDS, rows)) for row in range(rows))
    return "\n".join(line.rstrip() for line in lines)


def _changed(words: str, at: int, word: str) -> str:
    found = words.split()
    return " ".join([*found[: at - 1], word, *found[at:]])


def _shares(two: Sequence[str], most: Sequence[str]) -> list[Vector]:
    family, words = Family(), two[0]
    listed = "\n".join(f"{number}. {word}" for number, word in enumerate(words.split(), 1))
    for name, why, given, share, number, needs in [
        ("a share", "33 words", words, words, 1, 2),
        ("the last of sixteen", "a share's number has four bits", most[15], most[15], 16, 16),
        ("in capitals", "words are read in any case", words.upper(), words, 1, 2),
        ("over several lines", "white space separates", words.replace(" ", "\n", 5).replace(" ", "\t ", 3), words, 1, 2),
        ("numbers before the words", "a number is no word", listed, words, 1, 2),
    ]:  # fmt: skip
        family.good(name, why, words=given, **_facts(share, number, needs))
    plain = _made("not extendable", 2, 3, extendable=False)
    swapped = words.split()
    swapped[8], swapped[9] = swapped[9], swapped[8]
    for name, why, given, says in [
        ("empty", "33 words", "", "0 words were found"),
        ("a word missing", "33 words", words.rpartition(" ")[0], "32 words were found"),
        ("a word too many", "33 words", words + " academic", "34 words were found"),
        ("twenty words", "of 16 bytes, which are no identity", _made("short", 2, 3, bytes(16))[0], "20 words were found"),
        ("a word that is not of the list", "the list of SLIP-39", _changed(words, 5, "absent"), "word 5 is not one of the list"),
        ("a word cut to four letters", "whole words", _changed(words, 5, words.split()[4][:4]), "word 5 is not one of the list"),
        ("a word with a hyphen", "white space separates", words.replace(" ", "-", 1), "word 1 is not one of the list"),
        ("another word of the list", "the checksum", _changed(words, 5, "academic"), "word 5 seems to be wrong"),
        ("two words exchanged", "the checksum", " ".join(swapped), "seem to be swapped"),
        ("several words changed", "the checksum", _changed(_changed(_changed(words, 7, "academic"), 9, "acid"), 30, "zero"), "several are wrong"),
        ("digits that are not ASCII", "they are a word, and none of the list", "\u0663 " + words, "word 1 is not one of the list"),
        ("not extendable", "our shares are", plain[0], "of another program"),
        ("iteration exponent 0", "1", _made("exponent 0", 2, 3, iteration_exponent=0)[0], "of another program"),
        ("iteration exponent 2", "1", _other(words, iteration_exponent=2), "of another program"),
        ("one of two groups", "one group", _other(words, group_count=2), "of another program"),
        ("of the second group", "one group", _other(words, group_count=2, group_index=1), "of another program"),
        ("one share is enough", "2 or more are needed", _other(words, member_threshold=1), "of another program"),
        ("more groups needed than there are", "SLIP-39", _other(words, group_threshold=2), "do not fit together"),
    ]:  # fmt: skip
        family.bad(name, why, MalformedError, says, words=given)
    return family.vectors


def _sheet(words: str, pod_id: str = world.POD_ID.hex(), mark: str = _MARK) -> str:
    return (
        f"{mark}\n\n  pod     Heron count\n  pod id  {pod_id}\n  share   1 of 3; any 2 of them are needed\n\n"
        f"{_numbered(words)}\n\nThis is one part of the secret that opens the pod named above.\n"
    )


def _sheets(two: Sequence[str]) -> list[Vector]:
    family, words = Family(), two[0]
    whole, facts = _sheet(words), _facts(words, 1, 2)
    pod_id = world.POD_ID.hex()
    id_line = f"  pod id  {pod_id}\n"
    upside_down = "\n".join(reversed(_numbered(words).split("\n")))
    one_a_line = _numbered(words, columns=1)
    for name, why, text, named in [
        ("a sheet", "its words stand in columns", whole, pod_id),
        ("words alone", "without the first line", words, None),
        ("no pod id", "if wanted", whole.replace(id_line, ""), None),
        ("lines that end with CR LF", "read as LF", whole.replace("\n", "\r\n"), pod_id),
        ("one word a line", "pairs of a number and a word", whole.replace(_numbered(words), one_a_line), pod_id),
        ("words upside down", "numbers say where each stands", whole.replace(_numbered(words), upside_down), pod_id),
        ("in capitals", "words are read in any case", whole.replace(_numbered(words), _numbered(words).upper()), pod_id),
    ]:  # fmt: skip
        family.good(name, why, text=text, pod_id=pod_id, **facts, names_pod=named is not None)
    first, last = (
        f"{number:>4} {word:<12}".rstrip()
        for number, word in ((1, words.split()[0]), (33, words.split()[-1]))
    )
    for name, why, error, says, text in [
        ("version 2", "a later program made it", FormatTooNewError, "later version", _sheet(words, mark=_MARK[:-1] + "2")),
        ("version 10", "a later program made it", FormatTooNewError, "later version", _sheet(words, mark=_MARK + "0")),
        ("version 0", "from 1; without a first line all of it is words", MalformedError, "not one of the list", _sheet(words, mark=_MARK[:-1] + "0")),
        ("two sheets", "one such line", MalformedError, "has several", whole + _sheet(two[1])),
        ("another pod's", "the pod id", ForeignPodError, "another pod", _sheet(words, pod_id=world.OTHER_POD_ID.hex())),
        ("another pod's, CR LF", "the pod id", ForeignPodError, "another pod", _sheet(words, pod_id=world.OTHER_POD_ID.hex()).replace("\n", "\r\n")),
        ("a number missing", "each number from 1 to 33 once", MalformedError, "each with its number", whole.replace(first, "     " + first[5:])),
        ("a number twice", "each number from 1 to 33 once", MalformedError, "each with its number", whole.replace(first, first.replace("1", "2", 1))),
        ("a number beyond", "each number from 1 to 33 once", MalformedError, "each with its number", whole.replace(last, last.replace("33", "34"))),
        ("number 0", "each number from 1 to 33 once", MalformedError, "each with its number", whole.replace(first, first.replace("1", "0", 1))),
        ("no words", "each number from 1 to 33 once", MalformedError, "each with its number", f"{_MARK}\n{id_line}"),
        ("a word behind a line's pairs", "nothing but pairs", MalformedError, "each with its number", whole.replace(_numbered(words), _numbered(words).replace("\n", " and\n", 1))),
        ("two numbers exchanged", "the checksum", MalformedError, "do not fit together", whole.replace(first, first.replace("1", "33", 1)[1:]).replace(last, " " + last.replace("33", "1", 1))),
        ("a word that is not of the list", "the list of SLIP-39", MalformedError, "word 33 is not one of the list", whole.replace(last, " 33 absent")),
        ("a word changed", "the checksum", MalformedError, "word 33 seems to be wrong", whole.replace(last, " 33 zero")),
        ("words alone, one missing", "33 words", MalformedError, "32 words were found", words.rpartition(" ")[0]),
        ("empty", "33 words", MalformedError, "0 words were found", ""),
        ("one pair of words and no first line", "they are words alone", MalformedError, "not one of the list", whole.removeprefix(_MARK)),
        ("a sheet of another program", "a share of ours", MalformedError, "of another program", _sheet(_other(words, iteration_exponent=3))),
        ("the first line in capitals", "to the letter", MalformedError, "not one of the list", whole.replace(_MARK, _MARK.upper())),
        ("the first line cut", "to the letter", MalformedError, "not one of the list", whole.replace(", version 1", "")),
    ]:  # fmt: skip
        family.bad(name, why, error, says, text=text, pod_id=pod_id)
    return family.vectors


def _sets(two: Sequence[str], most: Sequence[str]) -> list[Vector]:
    family, three = Family(), _made("three of five", 3, 5)
    again, other = _made("again", 2, 3), _made("another's", 2, 3, world.OTHER_IDENTITY.reveal())
    for name, why, shares, identity in [
        ("two of three", "as many as are needed", two[:2], world.IDENTITY),
        ("others, in another order", "any of the set", [two[2], two[0]], world.IDENTITY),
        ("one more than is needed", "each is tried", two, world.IDENTITY),
        ("three of five", "any of the set", [three[4], three[0], three[2]], world.IDENTITY),
        ("all of sixteen", "at most so many", most, world.IDENTITY),
        ("another identity's", "a set of its own", other[1:], world.OTHER_IDENTITY),
    ]:
        family.good(name, why, shares=list(shares), identity=identity.reveal().hex())
    value = Share.from_mnemonic(two[1]).value
    altered = _other(two[1], value=flipped(value, 9))
    moved = _other(two[1], index=2)
    same_words = [_other(words, identifier=Share.from_mnemonic(two[0]).identifier) for words in other]
    for name, why, shares, says in [
        ("two sets of one identity", "one set", [two[0], again[1]], "shares of two sets"),
        ("sets of two identities", "one set", [two[0], other[1]], "shares of two sets"),
        ("sets that need another number", "one set", [two[0], three[1]], "shares of two sets"),
        ("the same first words, another number is needed", "one set", [two[0], _other(two[1], member_threshold=3)], "shares of two sets"),
        ("one twice", "each once", [two[0], two[0]], "was given twice"),
        ("one twice, in capitals", "each once", [two[0], two[0].upper()], "was given twice"),
        ("one twice beside enough others", "each once", [two[0], two[1], two[0]], "was given twice"),
        ("one twice of three", "each once", [three[0], three[1], three[0]], "was given twice"),
        ("a share altered, its checksum made to fit", "the digest", [two[0], altered], "do not belong together"),
        ("altered, of three", "the digest", [three[0], three[1], _other(three[2], value=bytes(32))], "do not belong together"),
        ("altered, beside enough others", "each is tried", [two[0], two[2], altered], "do not belong together"),
        ("a share under another's number", "the digest", [two[0], moved], "do not belong together"),
        ("a share beside itself under another number", "the digest", [two[1], moved], "do not belong together"),
        ("two that say the same number", "each once", [two[2], moved], "that they are number 3"),
        ("of another identity with the same first words", "the digest", [two[0], same_words[1]], "do not belong together"),
        ("likewise, beside enough others", "each is tried", [two[0], two[1], same_words[2]], "do not belong together"),
        ("likewise, of the same number", "each once", [two[0], same_words[0]], "that they are number 1"),
        ("a word changed in the second", "the checksum", [two[0], _changed(two[1], 20, "academic")], "word 20 seems to be wrong"),
    ]:  # fmt: skip
        family.bad(name, why, MalformedError, says, shares=list(shares))
    return family.vectors


def _records(two: Sequence[str]) -> list[Vector]:
    family = Family()
    kid, set_words = world.IDENTITY.recipient.kid.hex(), " ".join(two[0].split()[:2])
    made: dict[str, Any] = {"format": 1, "recipient": kid, "set": set_words}

    def text(**members: Any) -> str:
        found = {name: value for name, value in {**made, **members}.items() if value is not ...}
        return json.dumps(found) + "\n"

    for name, why, members in [
        ("made", "not tried yet", {"made_ms": 1_790_000_000_000}),
        ("made and tried", "both are known", {"made_ms": 1_790_000_000_000, "drilled_ms": 1_790_000_086_400}),
        ("tried", "made by another home", {"drilled_ms": 0}),
        ("neither", "absent if not known", {}),
    ]:
        family.good(name, why, content=text(**members), record={**made, **members})
    for name, why, error, content in [
        ("format 2", "a later program wrote it", FormatTooNewError, text(format=2)),
        ("format 2 with other members", "format comes first", FormatTooNewError, '{"format": 2, "shares": []}'),
        ("format 0", "from 1", MalformedError, text(format=0)),
        ("format -1", "from 1", MalformedError, text(format=-1)),
        ("no format", "required", MalformedError, text(format=...)),
        ("format as text", "an integer", MalformedError, text(format="1")),
        ("format 1.0", "an integer", MalformedError, text(format=1.0)),
        ("no recipient", "required", MalformedError, text(recipient=...)),
        ("recipient in capitals", "lower-case hex", MalformedError, text(recipient=kid.upper())),
        ("recipient short", "a kid", MalformedError, text(recipient=kid[:-1])),
        ("recipient with a newline", "a kid", MalformedError, text(recipient=kid + "\n")),
        ("no set", "required", MalformedError, text(set=...)),
        ("one word of the set", "two words", MalformedError, text(set="academic")),
        ("set in capitals", "lower case", MalformedError, text(set="ACADEMIC acid")),
        ("made_ms as text", "an integer", MalformedError, text(made_ms="1")),
        ("made_ms true", "an integer", MalformedError, text(made_ms=True)),
        ("drilled_ms 1.5", "an integer", MalformedError, text(drilled_ms=1.5)),
        ("a member more", "anything else", MalformedError, text(shares=3)),
        ("a list", "one JSON object", MalformedError, "[]"),
        ("cut", "JSON", MalformedError, text()[:-3]),
        ("something behind", "one JSON object", MalformedError, text() + "{}"),
        ("empty", "JSON", MalformedError, ""),
        ("too large", "4,096 bytes", MalformedError, text() + " " * 4_096),
    ]:  # fmt: skip
        vector = family.bad(name, why, error, "", content=content)
        del vector["says"]
    return family.vectors


def build() -> dict[str, Any]:
    """recovery/."""
    two, most = _made("two of three", 2, 3), _made("sixteen", _MOST_NEEDED, 16)
    return {
        "about": "shares: words of one share, read: set, number (from 1) and needs. sheets: the text of a sheet for the pod with "
        "pod_id, read: likewise; names_pod: whether it names its pod. sets: the words of shares that are joined: identity. "
        "records: content of recovery.json: record. Fewer shares than are needed have no vector: nothing is tried then.",
        "shares": _shares(two, most),
        "sheets": _sheets(two),
        "sets": _sets(two, most),
        "records": _records(two),
    }
