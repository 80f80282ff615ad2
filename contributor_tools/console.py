"""What a contributor's terminal is shown: one plain line at a time, on stderr.

File names, cells, a pod's name and a server's sentences are written by others;
`clean` makes them harmless. Nothing here interprets markup or colours.
"""

from __future__ import annotations

import unicodedata

import click

ELLIPSIS = "..."

# Controls, surrogates, line and paragraph separators, and invisible format characters: bidi
# overrides turn `exe.txt` around, tags hide text. Not the two joiners, which words are spelled with.
_ESCAPED_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_JOINERS = frozenset(("\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"))
_LAST_8_BIT, _LAST_16_BIT = 0xFF, 0xFFFF


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


def shortened(text: str, most_characters: int) -> str:
    """Return at most so many characters of `clean` text, three dots where it was cut."""
    # Cut before cleaning too: a cell may hold megabytes.
    shown = clean(text[: most_characters + 1])
    if len(shown) <= most_characters:
        return shown
    return shown[: most_characters - len(ELLIPSIS)] + ELLIPSIS


def say(line: str = "") -> None:
    """Print one line on stderr; stdout is for data."""
    click.echo(line, err=True)


def _escaped(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _ESCAPED_CATEGORIES:
        return character
    number = ord(character)
    if number <= _LAST_8_BIT:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= _LAST_16_BIT else f"\\U{number:08x}"
