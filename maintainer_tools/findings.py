"""What an examination found: one line a matter, marked ok, warn or FAIL, with what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from maintainer_tools.console import clean


class Mark(StrEnum):
    """How it stands; a word, so that no colour carries it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One matter.

    Attributes:
        mark: How it stands.
        matter: One word.
        sentence: What was found; may hold untrusted text.
        mend: A command, or what to do; empty where nothing is to be done.
    """

    mark: Mark
    matter: str
    sentence: str
    mend: str = ""


def ok(matter: str, sentence: str) -> Finding:
    """It is as it should be."""
    return Finding(Mark.OK, matter, sentence)


def doubt(matter: str, sentence: str, mend: str) -> Finding:
    """It works, and may not stay so."""
    return Finding(Mark.WARN, matter, sentence, mend)


def fault(matter: str, sentence: str, mend: str) -> Finding:
    """It does not work, or a promise is broken."""
    return Finding(Mark.FAIL, matter, sentence, mend)


def lines_of(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield them as a terminal may show them, each mend below its finding."""
    width = max((len(finding.matter) for finding in findings), default=0)
    for finding in findings:
        yield f"{finding.mark:<4}  {finding.matter:<{width}}  {clean(finding.sentence)}"
        if finding.mend:
            yield f"{'':<4}  {'':<{width}}  -> {clean(finding.mend)}"
