"""The command itself: help, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from maintainer_tools.cli import COMMANDS, Entry
from tests.support.maintaining import put, run, succeed
from tests.support.pods import TestPod
from vault import errors
from vault.links import Invite

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
COMMAND = [sys.executable, "-m", "maintainer_tools"]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """A command ``fail`` that raises what the test puts into the list."""
    raised: list[BaseException] = []

    @click.command("fail")
    @click.option("--json", "is_json", is_flag=True)
    def fail(*, is_json: bool) -> None:
        del is_json
        raise raised[0]

    monkeypatch.setitem(COMMANDS, "fail", Entry("Other", "Fails.", lambda: fail))
    yield raised
    raised.clear()


def test_help_lists_every_command_under_its_heading() -> None:
    """One screen a newcomer can read."""
    lines = succeed("--help").lines

    assert {line.split()[0] for line in lines if line.startswith("  ") and line.strip()} >= set(COMMANDS)
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [
        "Options:",
        "Start:",
        "Invite:",
        "Contribute:",
        "Read:",
        "Erase:",
        "Safety:",
        "Other:",
    ]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    """Two ways to ask, one answer."""
    asked = succeed(name, "--help")
    told = succeed("help", name)

    assert asked.out == told.out
    assert asked.out.startswith(f"Usage: shared-pod {name}")
    assert all(len(line) <= 100 for line in asked.lines)


def test_help_alone_is_help() -> None:
    """`help`, `--help`, or nothing typed at all."""
    assert succeed("help").out == succeed("--help").out
    assert run().code == 2


def test_an_unknown_topic_names_those_there_are() -> None:
    """And an unknown command one that is near."""
    ended = run("help", "exitcodes")

    assert ended.code == 2
    assert "exit-codes, environment, formats" in ended.err
    assert "SHARED_POD_PASSPHRASE_FILE" in succeed("help", "environment").out
    assert "36.0" in succeed("help", "formats").out
    assert "'export'" in run("exprot").err


def test_a_shell_can_complete_commands() -> None:
    """`shared-pod s` and the tab key."""
    asked = {"_SHARED_POD_COMPLETE": "bash_complete", "COMP_WORDS": "shared-pod s", "COMP_CWORD": "1"}
    offered = [line.split(",")[1] for line in run(environment=asked).lines]

    assert offered == [name for name in COMMANDS if name.startswith("s")]


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (errors.TornError("what \x1b[2J happened"), 19, r"error: what \x1b[2J happened"),
        (errors.LockedError("someone writes"), 11, "error: someone writes"),
        (click.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.ClickException("not installed"), 1, "error: not installed"),
        (OSError(28, "No space left on device", "out.csv"), 26, "error: out.csv: no space is left"),
        (OSError(13, "Permission denied"), 26, "error: a file: the operating system refused"),
    ],
)
def test_each_error_is_a_sentence_and_a_code(
    failing: list[BaseException], error: BaseException, code: int, sentence: str
) -> None:
    """What was found on stderr; stdout stays empty for the program that reads it."""
    failing.append(error)

    ended = run("fail")

    assert (ended.code, ended.raw) == (code, b"")
    assert sentence in ended.err
    assert "Traceback" not in ended.err


def test_errors_are_json_where_json_was_asked_for(failing: list[BaseException]) -> None:
    """One line a program can read, wrong usage too."""
    failing.append(errors.MissingError("gone"))

    assert run("fail", "--json").error == {"message_type": "exit_error", "code": 10, "message": "gone"}
    assert run("fail", "--json", "--no-such-option").error["code"] == 2


def test_a_bug_is_named_without_its_values(failing: list[BaseException]) -> None:
    """The message of an unexpected error may hold anything, a key too."""
    failing.append(ValueError("secret-5ca1ab1e"))

    ended = run("fail")

    assert ended.code == 1
    assert "this is a bug in shared-pod: ValueError in fail (" in ended.err
    assert "5ca1ab1e" not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["invite", "show", "https://pod.example/#sp1.c2VjcmV0LWxpbms"],
        ["send", "rows.csv", "--invite", "https://pod.example/#sp1.c2VjcmV0LWxpbms", "--type", "Plant"],
        ["send", "https://pod.example/#sp1.c2VjcmV0LWxpbms", "--json"],
        ["invite", "ls", "plants", "https://pod.example/#sp1.c2VjcmV0LWxpbms"],
    ],
)
def test_a_link_where_a_file_belongs_is_not_repeated(tmp_path: Path, arguments: list[str]) -> None:
    """People paste it there; what a command says is kept by terminals and logs."""
    (tmp_path / "rows.csv").write_text("a\n1\n")
    ended = run(*(str(tmp_path / each) if each == "rows.csv" else each for each in arguments))

    assert ended.code in {2, 10}
    assert "c2VjcmV0" not in ended.err
    assert "#sp1.(secret)" in ended.err


def test_no_crash_leaves_a_secret_in_a_file(pod: TestPod, invite: Invite) -> None:
    """A core dump of a tool would hold the identity, and every item it read."""
    put(pod, invite, *({"type": "Plant", "latinName": "x" * 4000} for _ in range(500)))
    child = _reading(["export", "plants", "-"])
    assert child.stdout
    assert child.stderr
    assert child.stdout.read(1)
    (limit,) = (line for line in Path(f"/proc/{child.pid}/limits").read_text().splitlines() if "core" in line)
    # Not killed: it takes its private copy with it.
    child.terminate()
    child.communicate()

    assert limit.split()[4:6] == ["0", "0"]


def test_a_reader_that_has_enough_ends_it_quietly(pod: TestPod, invite: Invite) -> None:
    """`export plants - | head -1` prints one line and no complaint."""
    put(pod, invite, *({"type": "Plant", "latinName": "x" * 2000} for _ in range(200)))
    child = _reading(["export", "plants", "-"])
    assert child.stdout
    first = child.stdout.read(10)
    child.stdout.close()

    assert child.stderr
    said = child.stderr.read()

    assert (child.wait(60), said, len(first)) == (1, b"", 10)
    child.stderr.close()


def test_a_reader_that_is_gone_before_the_first_line_likewise(pod: TestPod, invite: Invite) -> None:
    """What fits into one buffer is written at the very end."""
    put(pod, invite, {"type": "Plant"})
    child = _reading(["ls", "plants"])
    assert child.stdout
    child.stdout.close()

    assert child.stderr
    said = child.stderr.read()

    assert (child.wait(60), said) == (1, b"")
    child.stderr.close()


def _reading(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_from_outside_it_leaves_nothing(
    pod: TestPod, invite: Invite, tmp_path: Path, number: signal.Signals
) -> None:
    """A private copy of the pod must not stay in the temporary folder of a machine that shuts down."""
    put(pod, invite, *({"type": "Plant", "latinName": "x" * 4000} for _ in range(500)))
    private = tmp_path / "private"
    private.mkdir()
    child = subprocess.Popen(
        [*COMMAND, "export", "plants", "-"],
        env={**ENVIRONMENT, "TMPDIR": str(private)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # Its first bytes are out, the pipe is full: it is in the midst of reading.
    assert child.stdout
    assert child.stdout.read(1)
    assert list(private.iterdir())
    time.sleep(0.1)
    child.send_signal(number)

    _, said = child.communicate(timeout=60)

    assert (child.returncode, b"Traceback" in said) == (130, False)
    assert list(private.iterdir()) == []
