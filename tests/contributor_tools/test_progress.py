"""Progress in a log: seldom, and with what a reader wants to know."""

from __future__ import annotations

import pytest

from contributor_tools.progress import plain_report


def test_a_log_gets_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Ten reports a second would bury everything else."""
    seconds = [0.0]
    report = plain_report(1000, lambda: seconds[0])
    for tick in range(900):
        seconds[0] = tick / 10
        report(tick)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "sending: 300 of 1000, 10.0 a second, about 70 s left",
        "sending: 600 of 1000, 10.0 a second, about 40 s left",
    ]


def test_a_run_without_progress_divides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A pod may be silent for the first half minute."""
    seconds = [0.0]
    report = plain_report(10, lambda: seconds[0])
    seconds[0] = 31
    report(0)
    assert capsys.readouterr().err == "sending: 0 of 10, 0.0 a second, time left unknown\n"
