"""Hostile text on a contributor's terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contributor_tools.console import clean, shortened

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\r", r"a\x0ab\x09c\x0d"),
        ("\x9b31m", r"\x9b31m"),
        ("gepj.\N{RIGHT-TO-LEFT OVERRIDE}exe", r"gepj.\u202eexe"),
        ("\N{ZERO WIDTH NO-BREAK SPACE}a", r"\ufeffa"),
        ("a\N{LINE SEPARATOR}b", r"a\u2028b"),
        ("\N{TAG LATIN SMALL LETTER A}", r"\U000e0061"),
        ("\ud800", r"\ud800"),
        ("Größe 身長 [bold] 👩\N{ZERO WIDTH JOINER}🔬", "Größe 身長 [bold] 👩\N{ZERO WIDTH JOINER}🔬"),
    ],
)
def test_controls_are_shown_as_escapes(text: str, shown: str) -> None:
    """A cell must not clear the screen, turn a name around or forge a line of ours."""
    assert clean(text) == shown


@given(ANY_TEXT)
def test_any_text_becomes_one_line_a_terminal_only_prints(text: str) -> None:
    """Whatever a stranger wrote, our own sentences stay ours."""
    shown = clean(text)
    shown.encode()
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert len(shown.splitlines()) <= 1


@given(ANY_TEXT, st.integers(4, 50))
def test_shortened_text_is_never_longer_than_asked(text: str, most: int) -> None:
    """One cell of a megabyte must not push the question off the screen."""
    shown = shortened(text, most)
    assert len(shown) <= most
    assert shown == clean(text) or shown.endswith("...")
