"""Reading the list of mutants.

A mutant is a small change of one file that takes one defence out. It names the
test that must fail with it. Text, not line numbers, says where: it stands in
its file exactly once, or the list is out of date, and a test says so.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutants.toml")


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change and who notices.

    Attributes:
        name: In a few words, unique.
        defence: What stands there for: a row of docs/threat-model.md may name it.
        file: Relative to the project's root.
        find: What is replaced; exactly once in the file.
        replace: By what.
        test: The pytest node that must fail.
    """

    name: str
    defence: str
    file: str
    find: str
    replace: str
    test: str

    def applied(self, source: str) -> str:
        """The file's text with the defence taken out.

        Raises:
            ValueError: The text to replace is not there exactly once.
        """
        if (count := source.count(self.find)) != 1:
            raise ValueError(
                f"{self.name}: {self.file} holds the text to replace {count} times; bring the list up to date"
            )
        return source.replace(self.find, self.replace)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    mutant: list[Mutant]


def load() -> list[Mutant]:
    """Every mutant of the list."""
    return msgspec.convert(tomllib.loads(LIST.read_text(encoding="utf-8")), _File).mutant
