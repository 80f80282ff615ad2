"""How a run's end is told, to people and to scripts."""

from __future__ import annotations

import json

import pytest

from contributor_tools.answers import Refused
from contributor_tools.client import NotSent
from contributor_tools.exits import Exit
from contributor_tools.summary import Summary, summary_json, summary_lines
from maintainer_tools import exits


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        (Summary(3, 0, 0, 1.0), Exit.DONE),
        (Summary(2, 1, 0, 1.0), Exit.FINDINGS),
        (Summary(1, 1, 1, 1.0, NotSent("gone")), Exit.UNREACHABLE),
        (Summary(1, 1, 1, 1.0, Refused(403, "no")), Exit.REFUSED),
        (Summary(1, 1, 1, 1.0, NotSent("gone"), is_interrupted=True), Exit.INTERRUPTED),
    ],
)
def test_the_exit_code_is_the_most_useful_thing_to_know(summary: Summary, code: Exit) -> None:
    """A script retries on 20, asks a person on 21, and looks at the rejected rows on 3."""
    assert summary.exit_code is code
    assert json.loads(summary_json(summary))["exit_code"] == code


@pytest.mark.parametrize("code", list(Exit))
def test_the_numbers_are_those_of_every_command(code: Exit) -> None:
    """One table is published; two rooms must not drift apart."""
    assert exits.Exit[code.name].value == code.value


def test_what_was_not_sent_is_said_with_what_to_do() -> None:
    """Trouble passes, a refused invite does not."""
    lines = list(summary_lines(Summary(1, 0, 2, 1.0, NotSent("the server cannot be reached\x1b[2J"))))
    assert lines == [
        r"stopped: the server cannot be reached\x1b[2J",
        "1 of 3 items are in the pod (1.0 s).",
        "2 not sent; run the same command again to go on, nothing is stored twice.",
    ]
    lines = list(summary_lines(Summary(1, 0, 2, 1.0, Refused(403, "revoked"))))
    assert lines[0] == "refused: revoked"
    assert "new invite" in lines[2]


def test_rejected_rows_are_said_with_their_file() -> None:
    """A person mends them there."""
    lines = list(summary_lines(Summary(1, 2, 0, 1.0, rejected_file="plants.csv.rejected.csv")))
    assert lines[1] == "2 rejected; plants.csv.rejected.csv says why."
