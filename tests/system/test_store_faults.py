"""A small round of faults, that a round finds what it looks for, wrong clocks, and the record."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cloud.verdicts import Check, Verdict, write_verdict
from tests.power.shim import NO_COMPILER, has_compiler
from tests.store_faults.clock import wrong_by
from tests.store_faults.counting import Given, Result, count_round
from tests.store_faults.engines import Engine, imitated
from tests.store_faults.faults import Faulty, ending
from tests.store_faults.ledger import MARKS, Line, read_ledger, record
from tests.store_faults.plants import BUGS
from tests.store_faults.round import HOUR, SMALL, SMALLEST, run_round
from tests.storm.counting import Result as Counted
from tests.storm.ledger import RECORD, STORE_LEDGER, quoted, with_record
from tests.storm.promises import Promises
from tests.support.deploying import Deployed, deploy, verified
from tests.support.functions import Function, new_function, put
from tests.support.maintaining import succeed
from tests.support.pods import new_pod
from tests.support.server import Server, serving
from tests.support.stores import standing
from vault.header import parse_header
from vault.promises import decode_promise

TRIES = 8
"""Rounds against a planted bug until one is found."""
MINUTES = 600

needs_compiler = pytest.mark.skipif(not has_compiler(), reason=NO_COMPILER)


@pytest.fixture(scope="module")
def make() -> Iterator[Callable[[], Engine]]:
    """One store for all; each call makes a bucket."""
    with imitated() as make:
        yield make


def test_a_small_round_is_clean(tmp_path: Path, make: Callable[[], Engine]) -> None:
    """`make store-faults` does the same at length, with wrong clocks, and with a store whose daemons die."""
    ended = run_round(tmp_path, "small", make(), SMALL)
    result = count_round(ended.site.pod.home, tmp_path / "promises", ended.given)
    result.left = ended.left

    assert result.wrong == {}, result
    assert result.promises == result.redeemed == result.vault.acknowledged >= SMALL.items
    assert (ended.killed["gateway"], ended.killed["function"]) == (1, 1)
    assert sum(ended.met.values()) > SMALL.items // 4
    assert {"put", "list", "get"} <= {fault.partition(":")[0] for fault in ended.met}


@pytest.mark.parametrize("bug", BUGS)
def test_a_round_finds_a_planted_bug(bug: str, tmp_path: Path, make: Callable[[], Engine]) -> None:
    """Or it would say nothing: each is a line or two gone wrong in the processes that it starts."""

    def is_clean(seed: str) -> bool:
        folder = tmp_path / seed
        folder.mkdir()
        ended = run_round(folder, seed, make(), SMALLEST, bug)
        result = count_round(ended.site.pod.home, folder / "promises", ended.given)
        result.left = ended.left
        return not result.wrong

    assert any(not is_clean(str(seed)) for seed in range(TRIES))


@needs_compiler
@pytest.mark.parametrize("wrong", [MINUTES, -MINUTES, 3 * HOUR, -3 * HOUR])
def test_a_clock_that_is_wrong_loses_nothing(
    wrong: int, tmp_path: Path, make: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By minutes: stored, at the function's time. By hours: no store takes it, and that is never a 200."""
    engine = make()
    site = deploy(new_pod(tmp_path, policy="infer"), tmp_path, engine.store, engine.role)
    invite = site.invite()
    key = invite.database_key.reveal().hex()
    way = Faulty(engine.endpoints[0], "", share=0.0, patience_seconds=0.0)
    with standing(way), ending(way), _gateway(site, way, wrong) as server:
        before = time.time()
        answer = server.create_item(
            site.pod.owner, key, {"type": "Note", "id": "item-1", "text": "x"}, {"Pod-Receipt": "1"}
        )
    if abs(wrong) >= HOUR:
        assert answer.status == 503
        assert "pod-promise" not in answer.headers
        assert site.keys == []
        return
    header = parse_header(verified(answer.headers["pod-promise"], site))
    assert answer.status == 200
    assert before + wrong - 5 < header.ms / 1_000 < before + wrong + 60
    for name, value in engine.store.admin.environment.items():
        monkeypatch.setenv(name, value)
    verdict = _verdict(site, engine.endpoints[0])
    succeed("collect", site.pod.home, "--from", str(site.store.address()), "--verdict", verdict)
    (item,) = site.pod.items()
    assert (item.id, item.ms) == ("item-1", header.ms)


@needs_compiler
def test_an_invite_expires_by_the_functions_clock(
    tmp_path: Path, make: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took in before, as it saw it, home takes too: home judges by the time in the header."""
    engine = make()
    site = deploy(new_pod(tmp_path, policy="infer"), tmp_path, engine.store, engine.role)
    expired = site.invite(expires=time.time_ns() // 1_000_000 - 60_000)
    key = expired.database_key.reveal().hex()
    way = Faulty(engine.endpoints[0], "", share=0.0, patience_seconds=0.0)
    statuses = []
    with standing(way), ending(way):
        for wrong in (0, -MINUTES):
            with _gateway(site, way, wrong) as server:
                payload = {"type": "Note", "id": "item-1", "text": "x"}
                statuses.append(server.create_item(site.pod.owner, key, payload).status)
    assert statuses == [403, 200]
    for name, value in engine.store.admin.environment.items():
        monkeypatch.setenv(name, value)
    verdict = _verdict(site, engine.endpoints[0])
    succeed("collect", site.pod.home, "--from", str(site.store.address()), "--verdict", verdict)
    assert [item.id for item in site.pod.items()] == ["item-1"]


def _verdict(site: Deployed, endpoint: str) -> Path:
    path = site.bundle.parent / "store.verdict"
    at_ms = time.time_ns() // 1_000_000 - 24 * HOUR * 1_000
    write_verdict(
        path, Verdict(str(site.store.address(endpoint)), at_ms, {}, (Check("x", is_passed=True, said=""),))
    )
    return path


def _gateway(site: Deployed, way: Faulty, wrong: int) -> contextlib.AbstractContextManager[Server]:
    options = ["--store", str(site.store.address(way.endpoint)), "--log-key", f"file:{site.key_file}"]
    options += ["--verdict", str(_verdict(site, way.endpoint))]
    environment = {**site.role.environment, **wrong_by(wrong)}
    return serving(site.bundle, options=options, environment=environment, module="ingest.gateway")


@pytest.fixture
def counted(tmp_path: Path) -> tuple[Function, Given]:
    """A pod with three items that were collected, and what was promised of them."""
    pod = new_pod(tmp_path, policy="infer")
    function = new_function(pod, tmp_path / "scratch")
    slot = pod.slot()
    given = Given(Promises(), {}, [], (0, 1 << 60))
    for number in (1, 2, 3):
        submission = pod.submission(slot, id=f"item-{number}", text=f"text {number}")
        deposit = function.deposit(slot, submission)
        put(tmp_path / "bucket", deposit)
        given.promises.texts[submission.item.id] = f"text {number}"
        given.promises.acknowledged.add(submission.item.id)
        given.promises.receipts[submission.item.id] = deposit.promise
        given.commitments[submission.item.id] = submission.c
        given.objects.append(deposit.key)
    succeed("collect", pod.home, "--from", tmp_path / "bucket")
    return function, given


def _wrong(function: Function, given: Given) -> dict[str, int]:
    return count_round(function.pod.home, function.scratch / "promises", given).wrong


def test_what_is_as_promised_is_clean(counted: tuple[Function, Given]) -> None:
    """Or every fault below would prove nothing."""
    assert _wrong(*counted) == {}


def test_an_item_that_was_lost_is_counted(counted: tuple[Function, Given]) -> None:
    """Answered 200 with a promise that holds, and nowhere."""
    function, given = counted
    pod = function.pod
    submission = pod.submission(pod.slots["field-team"], id="item-4", text="text 4")
    given.promises.texts["item-4"] = "text 4"
    given.promises.acknowledged.add("item-4")
    given.promises.receipts["item-4"] = function.deposit(pod.slots["field-team"], submission).promise
    given.commitments["item-4"] = submission.c

    assert _wrong(function, given) == {"lost": 1, "unredeemed": 1}


def test_a_promise_that_was_not_given_is_counted(counted: tuple[Function, Given]) -> None:
    """It was asked for."""
    function, given = counted
    del given.promises.receipts["item-1"]

    assert _wrong(function, given) == {"unpromised": 1}


def test_a_promise_of_another_item_is_counted(counted: tuple[Function, Given]) -> None:
    """It holds, and its receipt too, but they prove nothing of what was sent."""
    function, given = counted
    given.promises.receipts["item-1"] = given.promises.receipts["item-2"]

    assert _wrong(function, given) == {"bad_promises": 1, "bad_receipts": 1}


def test_a_promise_of_another_put_is_counted(counted: tuple[Function, Given]) -> None:
    """The item is there, and not what was promised: sealed once more, at another time."""
    function, given = counted
    pod = function.pod
    pod.clock.ms += 1_000
    submission = pod.submission(pod.slots["field-team"], id="item-1", text="text 1")
    given.promises.receipts["item-1"] = function.deposit(pod.slots["field-team"], submission).promise

    assert _wrong(function, given) == {"unredeemed": 1, "wrong_times": 1}


def test_an_object_that_is_in_no_vault_is_counted(counted: tuple[Function, Given]) -> None:
    """And one that is listed twice."""
    function, given = counted
    given.objects.append(given.objects[0])

    assert _wrong(function, given) == {"strays": 2}


def test_promises_of_wrong_clocks_are_told_apart(counted: tuple[Function, Given]) -> None:
    """A minute and more outside the time of the round."""
    function, given = counted
    ms = parse_header(decode_promise(given.promises.receipts["item-1"]).header).ms

    for span, expected in (((ms - 1, ms), 0), ((ms + 61_000, ms + 62_000), 3), ((0, ms - 61_000), 3)):
        given.span = span
        folder = function.scratch / f"promises-{span[0]}"
        assert count_round(function.pod.home, folder, given).from_wrong_clocks == expected


def test_every_line_of_the_ledger_is_of_a_commit_and_clean() -> None:
    """One that is not would stand in the page, with what became of it."""
    lines = read_ledger(STORE_LEDGER)

    assert [line.commit for line in lines if not re.fullmatch(r"[0-9a-f]{7,40}", line.commit)] == []
    assert len({line.seed for line in lines}) == len(lines)


def test_the_page_says_what_the_ledger_does() -> None:
    """`make store-faults-record` puts it there."""
    assert quoted(RECORD.read_text(), MARKS) == record(read_ledger(STORE_LEDGER))


def test_the_record_counts_what_was_lost_and_what_was_wrong() -> None:
    """A bad round would stand in the page as well."""
    vault = Counted(120, 119, 0, ["a"], ["b"], [], [], [], ["one"], 1)
    bad = Line(
        date="2026-11-21T10:00:00+00:00",
        commit="0123456",
        seed="s/1",
        store="moto 5",
        kills={"gateway": 3, "collect": 1},
        faults={"put: lost": 7, "list: 503": 2},
        clocks={"+95 s": 2},
        collected={},
        statuses={"200": 120, "503": 4},
        unanswered=5,
        seconds=1.0,
        result=Result(vault, 120, 117, 119, 8, ["x"], [], [], [], [], 0, left=1),
    )
    sound = Result(Counted(5, 5, 0, [], [], [], [], [], [], 0), 5, 5, 5, 0, [], [], [], [], [], 0)
    good = msgspec.structs.replace(bad, seed="s/2", result=sound)

    told = record([bad, good])

    assert "| 2026-11-21 | 0123456 | s | moto 5 | 2 | 8 | 18 | 125 | 122 | 1 | 2 | 3 |" in told
    assert "Killed: gateway 6, collect 2." in told
    assert "Puts that met a fault: lost 14." in told
    assert "Lists that met a fault: 503 4." in told
    assert quoted(with_record(RECORD.read_text(), told, MARKS), MARKS) == told
