"""The log: one JSON object a line, bounded, and without anything that was sent or stored."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from ingest.logs import MOST_LINES_A_SECOND, Log, write_stderr
from tests.support.pods import FakeClock, seeded_entropy
from vault.errors import DamagedError

OWNER = bytes(range(32))


class _Written:
    """A log and its lines."""

    def __init__(self, *, is_logging_requests: bool = False, seed: int = 1) -> None:
        self.clock = FakeClock()
        self.raw: list[bytes] = []
        self.log = Log(
            self.raw.append,
            now_ms=self.clock,
            entropy=seeded_entropy(seed),
            is_logging_requests=is_logging_requests,
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in self.raw)
        return [json.loads(line) for line in self.raw]


def test_a_line_is_one_json_object_with_a_time() -> None:
    """Whatever a field holds, it cannot begin another line."""
    written = _Written()
    written.log.event("odd", text='a"b\nc\x00\u2028', number=1, nothing=None)

    (line,) = written.lines
    assert line == {
        "time": "2026-09-21T14:13:20.000+00:00",
        "event": "odd",
        "text": 'a"b\nc\x00\u2028',
        "number": 1,
        "nothing": None,
    }


def test_a_refused_request_is_a_line_of_numbers_and_a_digest() -> None:
    """Enough to see who has trouble and how much, and nothing to take away."""
    written = _Written()
    written.log.refused(OWNER, 403, 161, 0.0012345)

    (line,) = written.lines
    assert line.keys() == {"time", "event", "owner", "status", "body_bytes", "ms"}
    assert (line["status"], line["body_bytes"], line["ms"]) == (403, 161, 1.234)
    assert line["owner"] == written.log.digest(OWNER)
    assert OWNER.hex() not in written.raw[0].decode()


def test_a_digest_joins_the_lines_of_one_run_only() -> None:
    """Without this process's key nobody can make it from an owner key."""
    assert _Written().log.digest(OWNER) == _Written().log.digest(OWNER)
    assert _Written().log.digest(OWNER) != _Written().log.digest(bytes(32))
    assert _Written().log.digest(OWNER) != _Written(seed=2).log.digest(OWNER)


@pytest.mark.parametrize(("is_logging_requests", "lines"), [(False, 0), (True, 1)])
def test_an_accepted_request_is_a_line_only_where_asked_for(is_logging_requests: bool, lines: int) -> None:
    """It is counted either way."""
    written = _Written(is_logging_requests=is_logging_requests)
    written.log.stored(OWNER, 200, 10, 0.001)
    assert len(written.lines) == lines

    written.log.summary()
    assert written.lines[-1]["status_200"] == 1


def test_lines_a_second_are_bounded_and_the_rest_is_counted() -> None:
    """A log that anybody can fill is a full disk."""
    written = _Written()
    for _ in range(MOST_LINES_A_SECOND + 50):
        written.log.refused(OWNER, 403, 1, 0.001)
    assert len(written.lines) == MOST_LINES_A_SECOND

    written.clock.ms += 1_000
    written.log.refused(OWNER, 403, 1, 0.001)
    written.log.summary()
    *_, request, summary = written.lines
    assert request["event"] == "request"
    assert summary["status_403"] == MOST_LINES_A_SECOND + 51
    assert summary["lines_left_out"] == 50


def test_refused_requests_hide_no_failure() -> None:
    """Anybody can make those without end; why a pod takes nothing must still be read."""
    written = _Written()
    for _ in range(MOST_LINES_A_SECOND + 50):
        written.log.refused(OWNER, 403, 1, 0.001)
    written.log.failure("policy_refused", DamagedError("why"))
    assert written.lines[-1]["event"] == "policy_refused"

    for _ in range(MOST_LINES_A_SECOND + 50):
        written.log.failure("commit_failed", DamagedError("why"))
    assert [line["event"] for line in written.lines].count("commit_failed") == MOST_LINES_A_SECOND


def test_a_summary_counts_since_the_last_one_and_is_silent_when_nothing_happened() -> None:
    """A quiet server writes nothing."""
    written = _Written()
    written.log.counted(404)
    written.log.summary()
    written.log.summary()

    assert [line["event"] for line in written.lines] == ["summary"]


def test_our_own_error_is_logged_with_its_sentence() -> None:
    """It is written for a maintainer, and holds nothing secret by the rule of vault.errors."""
    written = _Written()
    error_id = written.log.failure("commit_failed", DamagedError("page 7 fails its checks"), OWNER)

    (line,) = written.lines
    assert line["error"] == "DamagedError"
    assert line["sentence"] == "page 7 fails its checks"
    assert line["error_id"] == error_id
    assert "at" not in line


def test_a_sentence_names_a_pods_folder_and_not_where_it_lies() -> None:
    """The maintainer must know which pod is meant; where pods lie is nobody's who reads a log."""
    lines: list[bytes] = []
    pods = [Path("/srv/our pods/plants"), Path("/srv/our pods/plants/inner/birds")]
    log = Log(lines.append, now_ms=FakeClock(), entropy=seeded_entropy(), pods=pods)
    for pod in pods:
        log.failure("commit_failed", DamagedError(f"{pod}/vault.db is empty"))

    sentences = [json.loads(line)["sentence"] for line in lines]
    assert sentences == ["plants/vault.db is empty", "birds/vault.db is empty"]


def test_a_foreign_error_is_logged_by_place_and_never_by_text() -> None:
    """Its text may hold what a client sent: int('canary') says canary."""
    written = _Written()
    canary = "canary"
    try:
        int(canary)
    except ValueError as exc:
        written.log.failure("unexpected", exc)

    (line,) = written.lines
    assert line["error"] == "ValueError"
    assert line["at"].startswith("ingest/test_logs.py:")
    assert canary not in written.raw[0].decode()


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is closed when its terminal is."""

    def closed(_descriptor: int, _line: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr("os.write", closed)

    write_stderr(b"nobody reads this\n")


def test_error_ids_differ() -> None:
    """One names one line."""
    log = _Written().log
    ids = {log.failure("unexpected", ValueError()) for _ in itertools.repeat(None, 100)}

    assert len(ids) == 100
