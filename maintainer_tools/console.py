"""What reaches a terminal, and how: stdout is data, stderr is talk.

What contributors wrote is hostile here: it could move the cursor, recolour the
screen or turn text around. `clean` makes it harmless; nothing interprets
markup. A table is drawn where a person looks and is tab-separated where a
program does. Not here: what is said, and exit codes (`maintainer_tools.exits`).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console

ELLIPSIS = "..."

# Controls, surrogates, line and paragraph separators, and invisible format characters: bidi
# overrides turn `exe.txt` around, tags hide text. Not the two joiners, which words are spelled with.
_ESCAPED_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = frozenset(("\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"))
# Of these, what a terminal obeys: the controls beyond ASCII, line ends, marks of direction, tags.
_OBEYED = re.compile(r"[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_LAST_8_BIT, _LAST_16_BIT = 0xFF, 0xFFFF

_SCRIPT = "shared-pod"
_PROGRESS_SECONDS = 30.0
"""Between two lines of progress in a log: seldom enough to be read, often enough to show life."""

Progress = Callable[[int], None]
"""Told how many items are done."""

_bars: list[Console] = []
"""The screen, while there is a bar in its last line."""


def clean(text: str) -> str:
    r"""Return untrusted text as a terminal may show it, on one line.

    Args:
        text: Any text, also with lone surrogates.

    Returns:
        The text with every control, bidi and line-breaking character as its
        escape (`\x1b`, `\u202e`); encodable as UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    number = ord(character)
    if number <= _LAST_8_BIT:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _LAST_16_BIT else f"\\U{number:08x}"


def shortened(text: str, most_characters: int) -> str:
    """Return at most so many characters of `clean` text, three dots where it was cut."""
    # Cut before cleaning too: a value may hold megabytes.
    shown = clean(text[: most_characters + 1])
    if len(shown) <= most_characters:
        return shown
    return shown[: most_characters - len(ELLIPSIS)] + ELLIPSIS


def say(line: str = "") -> None:
    """Print one line of talk on stderr."""
    if _bars:
        _print_above(line)
    else:
        click.echo(line, err=True)


def warn(sentence: str) -> None:
    """Print one warning on stderr."""
    say(f"warning: {clean(sentence)}")


def put(line: str) -> None:
    """Print one line of data on stdout."""
    if _bars and sys.stdout.isatty():
        _print_above(line)
    else:
        click.echo(line)


def _print_above(line: str) -> None:
    """Print where the bar is, which moves down: on its own it would stay, with the line glued to it."""
    _bars[-1].print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


def json_line(document: Any) -> bytes:
    r"""Return a JSON document that a terminal can be shown, in UTF-8, with a newline.

    JSON escapes the controls of ASCII only. The others, and what turns text
    around, are written as `\u202e` here, which says the same to a program.
    """
    encoded = msgspec.json.encode(document)
    if not encoded.isascii():
        encoded = _OBEYED.sub(lambda found: json.dumps(found[0])[1:-1], encoded.decode()).encode()
    return encoded + b"\n"


def put_json(document: Any) -> None:
    """Print one JSON document, a line, on stdout."""
    put(json_line(document).decode().removesuffix("\n"))


def put_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout: drawn for a person, tab-separated and without headers for a program.

    Args:
        headers: One a column.
        rows: Untrusted text; cleaned here. The last column is cut to the width of the screen.
    """
    if sys.stdout.isatty():
        for line in table_lines(headers, rows, shutil.get_terminal_size().columns):
            put(line)
    else:
        for row in rows:
            put("\t".join(map(clean, row)))


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield a table's lines for a screen of ``width`` columns; cells are cleaned."""
    from rich.cells import cell_len, set_cell_size

    cleaned = [list(headers), *([clean(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cleaned, strict=True)]
    widths[-1] = max(len(headers[-1]), min(widths[-1], width - sum(widths[:-1]) - 2 * (len(widths) - 1)))
    for row in cleaned:
        if cell_len(row[-1]) > widths[-1]:
            row[-1] = set_cell_size(row[-1], max(0, widths[-1] - len(ELLIPSIS))) + ELLIPSIS
        cells = (set_cell_size(cell, size) for cell, size in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def pasteable(*words: str | Path) -> str:
    """A command line as its reader may paste it into a shell."""
    return shlex.join(clean(str(word)) for word in words)


def ours(*words: str | Path) -> str:
    """A command line of this program, as its reader may paste it into a shell."""
    return f"{_command_name()} {pasteable(*words)}"


def _command_name() -> str:
    """How the reader of a hint starts this program: as it was started."""
    started = Path(sys.argv[0])
    if started.name != _SCRIPT:
        return f"{Path(sys.executable).name} -m maintainer_tools"
    found = shutil.which(_SCRIPT)
    if found is not None and Path(found).resolve() == started.resolve():
        return _SCRIPT
    return pasteable(started)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress]:
    """Show how far long work is, on stderr: a bar for a person, seldom lines for a log.

    Args:
        what: One word, such as ``Checking``.
        total: Items there are; None if that is not known yet.
    """
    if not sys.stderr.isatty():
        yield _plain_progress(what, total, time.monotonic)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        _bars.append(bar.console)
        try:
            yield lambda done: bar.update(task, completed=done)
        finally:
            _bars.pop()


def _plain_progress(what: str, total: int | None, clock: Callable[[], float]) -> Progress:
    last, of = clock(), "" if total is None else f" of {total}"

    def report(done: int) -> None:
        nonlocal last
        if clock() - last >= _PROGRESS_SECONDS:
            last = clock()
            say(f"{what}: {done}{of}")

    return report
