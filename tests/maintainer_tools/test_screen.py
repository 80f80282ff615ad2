"""What reaches a terminal: hostile text made harmless, tables that fit."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from contributor_tools.console import clean as contributors_clean
from maintainer_tools import console
from maintainer_tools.console import clean, json_line, ours, shortened, table_lines

JOINERS = "\u200c\u200d"
ANY_TEXT = st.text(st.characters(codec=None, categories=None))


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb\nc\td", r"a\x0db\x0ac\x09d"),
        ("\x9b31m", r"\x9b31m"),
        ("\u202eexe.txt", r"\u202eexe.txt"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("\u2028", r"\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("na\u200dme", "na\u200dme"),
    ],
)
def test_controls_are_shown_not_obeyed(hostile: str, shown: str) -> None:
    """A stored value could clear the screen, fake a line or turn a name around."""
    assert clean(hostile) == shown


@pytest.mark.parametrize(
    "hostile", ["\x9b31m", "\u202eexe.txt", "\u2066", "\u2028", "\ufeff", "\U000e0041", "\x1b[2J"]
)
def test_json_shows_controls_too(hostile: str) -> None:
    """`ls --json` goes to a terminal as well, and JSON itself escapes the controls of ASCII only."""
    line = json_line({"text": hostile, "type": "na\u200dme \u00e9"})
    assert hostile[0] not in line.decode()
    assert "na\u200dme \u00e9" in line.decode()


@given(st.text())
def test_json_says_what_it_said(text: str) -> None:
    """An escape is the same character to every program that reads JSON."""
    assert json.loads(json_line({"text": text})) == {"text": text}
    assert json_line({"text": text}).count(b"\n") == 1


@given(ANY_TEXT)
def test_clean_text_controls_nothing(text: str) -> None:
    """Whatever a contributor writes, one line without a control comes out."""
    shown = clean(text)

    shown.encode()
    visible = (character for character in shown if character not in JOINERS)
    assert not set(map(unicodedata.category, visible)) & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(ANY_TEXT)
def test_both_rooms_clean_alike(text: str) -> None:
    """They cannot share the function; they must not drift apart."""
    assert clean(text) == contributors_clean(text)


@given(ANY_TEXT, st.integers(min_value=4, max_value=60))
def test_shortened_text_fits(text: str, most: int) -> None:
    """A value of megabytes becomes a few characters."""
    assert len(shortened(text, most)) <= most


@given(
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=200)), max_size=8),
    st.integers(min_value=60, max_value=120),
)
def test_table_lines_fit_the_screen(rows: list[tuple[str, str]], width: int) -> None:
    """A line that wraps is no table; wide letters take two columns."""
    rows = [(clean(name)[:12], value) for name, value in rows]

    lines = list(table_lines(("NAME", "VALUE"), rows, width))

    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= width for line in lines)


class _Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_gets_headers_and_a_program_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ls | cut -f1` must not have to skip a line."""
    rows = [("a\tb", "c")]
    console.put_table(("ONE", "TWO"), rows)
    screen = _Screen()
    monkeypatch.setattr("sys.stdout", screen)
    console.put_table(("ONE", "TWO"), rows)

    assert capsys.readouterr().out == "a\\x09b\tc\n"
    assert screen.getvalue() == "ONE     TWO\na\\x09b  c\n"


@pytest.mark.parametrize(
    ("started", "named"),
    [
        (".venv/bin/shared-pod", ".venv/bin/shared-pod"),
        ("maintainer_tools/__main__.py", "-m maintainer_tools"),
    ],
)
def test_hints_name_the_command_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, started: str, named: str
) -> None:
    """A hint that cannot be pasted is worse than none."""
    monkeypatch.setattr("sys.argv", [started])

    assert ours("ls", "my pod").endswith(f"{named} ls 'my pod'")


def test_an_installed_command_is_named_shortly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Found on PATH, its name is enough."""
    script = tmp_path / "shared-pod"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(script)])

    assert ours("ls", "plants") == "shared-pod ls plants"


def test_progress_in_a_log_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """A bar in a log file is a mess; silence for an hour looks like death."""
    seconds = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    report = console._plain_progress("Checking", 9, lambda: next(seconds))

    for done in (1, 2, 3):
        report(done)

    assert capsys.readouterr().err == "Checking: 2 of 9\n"
