"""Shares of an identity: words of SLIP-39, any few of which make it again.

Splitting and joining are the library's, by the authors of SLIP-39. Here are the
sentences for what people get wrong when they copy 33 words by hand: a share's
checksum sees every error in up to three of its words, and an error in one is
traced to that word. What it should be is not said (SLIP-39, "Checksum"): a guess
that fits may still be a wrong one. No word that was given is ever repeated, only
words of the list that are near to it. FORMAT.md, "Recovery shares".
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence

import msgspec
import shamir_mnemonic as slip39
from shamir_mnemonic.wordlist import WORD_INDEX_MAP, WORDLIST

from maintainer_tools.exits import CredentialsMissingError
from vault.errors import MalformedError
from vault.keys import KEY_BYTES
from vault.opening import Identity

WORDS = 33
"""In a share of 32 bytes: 7 words say which share it is and check it, 26 hold it (SLIP-39)."""
LEAST_NEEDED = 2
"""One share that is enough is the identity itself; that is printed by `identity print`."""
MOST_SHARES = 16
"""SLIP-39 has 4 bits for a share's number."""

_ITERATION_EXPONENT = 1
"""The library's default. There is no passphrase that stretching could protect."""
_SET_WORDS = 2
"""The first words of a share, the same on all shares of a set: 15 random bits and parameters."""
_UNIQUE_LETTERS = 4
"""No two words of the list begin with the same four letters."""
_NEAR = 3
"""Near words that are named."""
_MOST_COMPARED = 16
"""Letters: twice the longest word of the list. What is longer is no word."""


class Share(msgspec.Struct, frozen=True):
    """One share, its checksum verified.

    Attributes:
        words: The 33 words, in lower case. Secret.
        set: What is the same on all shares of a set: the first two words. Not secret.
        number: Which one it is, from 1.
        needs: How many of its set make the identity again.
    """

    words: tuple[str, ...]
    set: str
    number: int
    needs: int

    def __repr__(self) -> str:
        return f"Share({self.set!r}, {self.number}, needs={self.needs}, **redacted**)"


def split(identity: Identity, *, shares: int, needs: int) -> list[Share]:
    """Split an identity, with fresh randomness of the operating system.

    Args:
        identity: Whose 32 bytes are split.
        shares: How many are made, up to ``MOST_SHARES``.
        needs: How many of them make it again, from ``LEAST_NEEDED``.

    Raises:
        ValueError: Other numbers. Our own mistake: options are checked before.
    """
    if not LEAST_NEEDED <= needs <= shares <= MOST_SHARES:
        raise ValueError("numbers of shares")
    (made,) = slip39.generate_mnemonics(
        1, [(needs, shares)], identity.reveal(), iteration_exponent=_ITERATION_EXPONENT
    )
    read = [read_share(words) for words in made]
    _require_round_trip(read, identity)
    return read


def _require_round_trip(shares: Sequence[Share], identity: Identity) -> None:
    # What is about to be all that is left of an identity is not taken on trust.
    for first in range(len(shares)):
        some = [shares[(first + step) % len(shares)] for step in range(shares[0].needs)]
        if join(some) != identity:
            raise AssertionError("shares that do not make their identity again")


def read_share(text: str) -> Share:
    """Read one share as somebody wrote it down.

    Args:
        text: Its words, in any case, with white space between them; a word may have its number before it.

    Raises:
        MalformedError: Not 33 words of the list that fit together; which word is
            at fault is said if it can be told.
    """
    words = [word.lower() for word in text.split() if not _is_number(word)]
    _require_known(words)
    if len(words) != WORDS:
        raise MalformedError(
            f"{len(words)} words were found, a share has {WORDS}; compare them with the paper"
        )
    found = _decode(words)
    if found is None:
        raise MalformedError(f"the words do not fit together: {_where(words)}")
    if not _is_ours(found):
        raise MalformedError("these words are a share of another program, or of a secret that is no identity")
    return Share(tuple(words), " ".join(words[:_SET_WORDS]), found.index + 1, found.member_threshold)


def require_fits(share: Share, others: Iterable[Share]) -> None:
    """Refuse a share that does not go with those before it.

    Raises:
        MalformedError: It is of another set, or one of them again.
    """
    for other in others:
        if (share.set, share.needs) != (other.set, other.needs):
            raise MalformedError(
                f'shares of two sets do not go together: one is of the set "{other.set}", one of '
                f'"{share.set}"; the first two words are the same on all shares of a set'
            )
        if share.words == other.words:
            raise MalformedError(f"share {share.number} was given twice; take another one")
        if share.number == other.number:
            raise MalformedError(f"two different shares say that they are number {share.number} of one set")


def join(shares: Sequence[Share]) -> Identity:
    """Make an identity from shares; if there are more than are needed, every one is tried.

    Args:
        shares: Any order.

    Raises:
        CredentialsMissingError: They are fewer than are needed.
        MalformedError: They are not of one set.
    """
    if not shares:
        raise CredentialsMissingError("no share was given")
    for at, share in enumerate(shares):
        require_fits(share, shares[:at])
    needs = shares[0].needs
    if len(shares) < needs:
        raise CredentialsMissingError(
            f"{needs} shares of the set are needed, {len(shares)} given: fewer tell nothing about it"
        )
    found = _joined(shares[:needs])
    for extra in shares[needs:]:
        _joined([*shares[: needs - 1], extra])
    return found


def _joined(shares: Sequence[Share]) -> Identity:
    try:
        return Identity(slip39.combine_mnemonics([" ".join(share.words) for share in shares]))
    except slip39.MnemonicError as exc:
        raise _mixed() from exc


def _mixed() -> MalformedError:
    return MalformedError(
        "each share is whole, but they do not belong together, though they begin with the same words; "
        "compare the dates on the paper"
    )


def _is_number(word: str) -> bool:
    return word.isascii() and word.rstrip(".:)").isdigit()


def _require_known(words: Sequence[str]) -> None:
    for number, word in enumerate(words, 1):
        if word not in WORD_INDEX_MAP:
            near = ", ".join(_near(word))
            raise MalformedError(
                f"word {number} is not one of the list{f'; near to it: {near}' if near else ''}; "
                "compare it with the paper"
            )


def _near(word: str) -> list[str]:
    same_start = [known for known in WORDLIST if known[:_UNIQUE_LETTERS] == word[:_UNIQUE_LETTERS]]
    return same_start or difflib.get_close_matches(word[:_MOST_COMPARED], WORDLIST, _NEAR)


def _decode(words: Iterable[str]) -> slip39.Share | None:
    """The share that the words are, if their checksum holds."""
    try:
        return slip39.Share.from_mnemonic(" ".join(words))
    except slip39.MnemonicError:
        return None


def _is_ours(found: slip39.Share) -> bool:
    parameters = (found.extendable, found.iteration_exponent, found.group_index, found.group_count)
    is_like_ours = parameters == (True, _ITERATION_EXPONENT, 0, 1) and len(found.value) == KEY_BYTES
    return is_like_ours and found.member_threshold >= LEAST_NEEDED


def _where(words: Sequence[str]) -> str:
    """What may be wrong. One wrong word is found for sure: no other share is so near."""
    for first, second in itertools.combinations(range(WORDS), 2):
        swapped = list(words)
        swapped[first], swapped[second] = words[second], words[first]
        if swapped != words and _decode(swapped):
            return f"words {first + 1} and {second + 1} seem to be swapped; compare them with the paper"
    for at in range(WORDS):
        if any(_decode([*words[:at], word, *words[at + 1 :]]) for word in WORDLIST):
            return f"word {at + 1} seems to be wrong; compare it with the paper"
    return "several are wrong; compare them with the paper, one by one"
