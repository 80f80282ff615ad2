"""Words on paper: any few of them make the identity again, and what is mistyped is found first."""

from __future__ import annotations

import itertools
import os

import pytest
import shamir_mnemonic as slip39
from hypothesis import given, settings
from hypothesis import strategies as st
from shamir_mnemonic.wordlist import WORDLIST

from maintainer_tools.exits import CredentialsMissingError
from maintainer_tools.shares import WORDS, Share, join, read_share, require_fits, split
from vault.errors import MalformedError
from vault.opening import Identity

IDENTITY = Identity(bytes(range(32)))
PRINTED = (
    """hush premium academic acid alcohol elite vintage diploma various marathon activity segment jacket beam
    vintage snapshot smart amazing forget wolf unkind quantity memory platform marvel sympathy daisy pregnant
    punish charity lecture pajamas grasp""",
    """hush premium academic always acne marathon exercise dough scared category fact speak frost shrimp story
    system patrol antenna crystal crowd bishop curious quiet decorate mansion remind adequate python artist
    spine submit yield debut""",
)
"""Two of three sheets of `IDENTITY`, as version 1 printed them once."""


def _words(share: Share) -> list[str]:
    return list(share.words)


def _set(shares: int = 3, needs: int = 2) -> list[Share]:
    return split(IDENTITY, shares=shares, needs=needs)


MADE = _set()


@pytest.mark.parametrize(("shares", "needs"), [(2, 2), (3, 2), (5, 3), (16, 2), (16, 16)])
def test_any_that_are_needed_make_the_identity_again(shares: int, needs: int) -> None:
    """In any order, and whichever are left."""
    made = _set(shares, needs)

    for some in itertools.islice(itertools.combinations(made, needs), 20):
        assert join(list(reversed(some))) == IDENTITY
    assert join(made) == IDENTITY
    assert [share.number for share in made] == list(range(1, shares + 1))
    assert {(share.needs, share.set, len(share.words)) for share in made} == {(needs, made[0].set, WORDS)}


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=20)
def test_every_identity_round_trips(raw: bytes) -> None:
    """Zeros at either end too."""
    made = split(Identity(raw), shares=3, needs=2)

    assert join([read_share(" ".join(share.words)) for share in made[1:]]).reveal() == raw


def test_paper_of_version_1_is_read_for_ever() -> None:
    """No later version of this program, or of the library, may read it as something else."""
    assert join([read_share(words) for words in PRINTED]) == IDENTITY


def test_another_program_reads_the_words() -> None:
    """SLIP-39 without a passphrase: the sheet promises it."""
    made = slip39.combine_mnemonics([" ".join(share.words) for share in MADE[:2]])

    assert made == IDENTITY.reveal()


@pytest.mark.parametrize(("shares", "needs"), [(3, 1), (2, 3), (17, 2)])
def test_other_numbers_are_a_bug_of_ours(shares: int, needs: int) -> None:
    """One share that is enough is no share."""
    with pytest.raises(ValueError, match="numbers of shares"):
        _set(shares, needs)


def test_shares_that_do_not_round_trip_are_never_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that split something else would be found out in ten years."""
    other = slip39.generate_mnemonics(1, [(2, 3)], bytes(32))
    monkeypatch.setattr(slip39, "generate_mnemonics", lambda *_, **__: other)

    with pytest.raises(AssertionError, match="do not make"):
        _set()


def test_no_share_shows_itself() -> None:
    """Not in a traceback, not in a log."""
    shown = repr(MADE[0])

    assert "redacted" in shown
    assert not set(MADE[0].words[4:]) & set(shown.replace("'", " ").split())


@pytest.mark.parametrize("spelling", ["{}", "{}\n", "{} {}", "{}. {}\n", "{}) {}"])
def test_words_are_taken_as_people_write_them(spelling: str) -> None:
    """Numbers, columns, capitals."""
    words = enumerate(_words(MADE[0]), 1)
    takes_number = spelling.count("{}") == 2

    text = " ".join(
        spelling.format(number, word) if takes_number else spelling.format(word) for number, word in words
    )

    assert read_share(text) == read_share(text.upper()) == MADE[0]


@given(st.integers(0, WORDS - 1), st.sampled_from(WORDLIST))
@settings(max_examples=8)
def test_one_wrong_word_is_pointed_at(at: int, word: str) -> None:
    """Which one; not what it should be, and not what was typed."""
    words = _words(MADE[0])
    if words[at] == word:
        return
    right, words[at] = words[at], word

    with pytest.raises(MalformedError, match=rf"word {at + 1} seems to be wrong") as found:
        read_share(" ".join(words))
    assert not {right, word} & set(str(found.value).replace(";", " ").split()) - {"one", "share"}


def test_two_swapped_words_are_pointed_at() -> None:
    """The commonest slip when a line is copied."""
    words = _words(MADE[0])
    words[6], words[7] = words[7], words[6]

    with pytest.raises(MalformedError, match="words 7 and 8 seem to be swapped"):
        read_share(" ".join(words))


@given(st.lists(st.integers(0, WORDS - 1), min_size=2, max_size=3, unique=True), st.data())
@settings(max_examples=3)
def test_several_wrong_words_are_never_taken(places: list[int], data: st.DataObject) -> None:
    """The checksum sees every error in up to three words."""
    words = _words(MADE[0])
    for at in places:
        words[at] = data.draw(st.sampled_from([word for word in WORDLIST if word != words[at]]))

    with pytest.raises(MalformedError, match="do not fit together"):
        read_share(" ".join(words))


@pytest.mark.parametrize(
    ("typed", "near"),
    [("acadmic", "academic"), ("academics", "academic"), ("xacid", "acid"), ("q" * 5000, "")],
)
def test_a_word_that_is_none_is_pointed_at(typed: str, near: str) -> None:
    """With words near to it; it may be a passphrase in the wrong place, so it is not repeated."""
    words = _words(MADE[0])
    words[4] = typed

    with pytest.raises(MalformedError, match="word 5 is not one of the list") as found:
        read_share(" ".join(words))
    assert near in str(found.value)
    assert typed not in str(found.value)


@pytest.mark.parametrize("count", [0, 1, 20, 32, 34])
def test_too_few_or_many_words_are_counted(count: int) -> None:
    """A line was left out."""
    words = (_words(MADE[0]) * 2)[:count]

    with pytest.raises(MalformedError, match=f"{count} words were found, a share has 33"):
        read_share(" ".join(words))


@pytest.mark.parametrize(
    "words",
    [
        slip39.generate_mnemonics(1, [(2, 3)], bytes(32), extendable=False)[0][0],
        slip39.generate_mnemonics(1, [(2, 3)], bytes(32), iteration_exponent=0)[0][0],
        slip39.generate_mnemonics(1, [(2, 3), (2, 3)], bytes(32))[0][0],
        slip39.generate_mnemonics(1, [(1, 1)], bytes(32))[0][0],
    ],
)
def test_a_share_of_another_program_is_refused(words: str) -> None:
    """A wallet's share in the wrong drawer; and an exponent that would keep us busy for hours."""
    with pytest.raises(MalformedError, match="of another program"):
        read_share(words)


def test_one_share_tells_nothing() -> None:
    """Nothing is tried with it."""
    with pytest.raises(CredentialsMissingError, match=r"2 shares of the set are needed, 1 given"):
        join(MADE[:1])
    with pytest.raises(CredentialsMissingError, match="no share"):
        join([])


def test_shares_of_two_sets_are_not_mixed() -> None:
    """Told apart by their first words, before anything is tried."""
    other = next(made for made in iter(_set, None) if made[0].set != MADE[0].set)

    with pytest.raises(MalformedError, match="of two sets do not go together"):
        join([MADE[0], other[1]])
    with pytest.raises(MalformedError, match="given twice"):
        join([MADE[0], MADE[0]])


def _same_set(of: Share, identity: Identity) -> list[Share]:
    """Another split that happens to have the same first words."""
    read = slip39.Share.from_mnemonic(" ".join(of.words))
    secret = slip39.EncryptedMasterSecret.from_master_secret(
        identity.reveal(), b"", read.identifier, extendable=True, iteration_exponent=1
    )
    return [read_share(share.mnemonic()) for share in slip39.split_ems(1, [(2, 3)], secret)[0]]


def test_two_splits_that_begin_alike_are_told_apart() -> None:
    """One in 32,768; the words carry a digest of what they make."""
    other = _same_set(MADE[0], Identity(os.urandom(32)))

    with pytest.raises(MalformedError, match="they do not belong together"):
        join([MADE[0], other[1]])
    with pytest.raises(MalformedError, match="they do not belong together"):
        join([MADE[0], MADE[1], other[2]])
    with pytest.raises(MalformedError, match="say that they are number 1"):
        require_fits(other[0], [MADE[0]])
