"""Ctrl-C, a question answered no: how a person ends a run of send."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from contributor_tools.exits import Exit
from tests.support.invites import invite_to, write_invite
from tests.support.scripted_server import (
    Reply,
    Request,
    ScriptedServer,
    accept,
)
from vault.items import SCHEMA_TYPE

RUNNER = "from contributor_tools.send import send; send()"


def _child(server: ScriptedServer, plants: Path, *options: str) -> list[str]:
    invite = write_invite(plants.parent / "i", invite_to(server.url))
    return [sys.executable, "-c", RUNNER, str(plants), "--invite", str(invite), "--type", "Plant", *options]


def test_ctrl_c_finishes_what_is_on_its_way_and_says_how_to_go_on(tmp_path: Path) -> None:
    """A real process and a real signal; what the pod kept is what is counted."""
    path = tmp_path / "plants.csv"
    path.write_text("a\n" + "".join(f"{number}\n" for number in range(2000)))
    has_begun = threading.Event()

    def answer(request: Request) -> Reply:
        if request.payload["type"] != SCHEMA_TYPE:
            has_begun.set()
            time.sleep(0.01)
        return accept(request)

    with ScriptedServer(answer) as server:
        arguments = _child(server, path, "--yes", "--json")
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert has_begun.wait(60)
        child.send_signal(signal.SIGINT)
        out, talk = child.communicate(timeout=60)
    summary = json.loads(out)
    assert child.returncode == Exit.INTERRUPTED
    assert summary["accepted"] == len(server.items)
    assert summary["accepted"] + summary["not_sent"] == 2000
    assert "run the same command again" in talk
    assert "Traceback" not in talk


def test_a_second_ctrl_c_waits_for_nobody(plants: Path) -> None:
    """Not even for a server that took a row and says nothing."""
    is_over, has_begun = threading.Event(), threading.Event()

    def answer(request: Request) -> Reply:
        if request.payload["type"] != SCHEMA_TYPE:
            has_begun.set()
            is_over.wait(60)
        return accept(request)

    with ScriptedServer(answer) as server:
        with subprocess.Popen(
            _child(server, plants, "--yes"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as child:
            assert has_begun.wait(60)
            child.send_signal(signal.SIGINT)
            assert child.stderr is not None
            talk = iter(child.stderr.readline, "")
            assert any("Ctrl-C again" in line for line in talk)
            child.send_signal(signal.SIGINT)
            assert child.wait(60) == Exit.INTERRUPTED
        is_over.set()


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    # A signal in the instant before input() blocks is seen only with the next one.
    while child.poll() is None:
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(2)


def _answered(server: ScriptedServer, plants: Path, answer: bytes | None) -> tuple[int, str]:
    controller, terminal = pty.openpty()
    with subprocess.Popen(_child(server, plants), stdin=terminal, stdout=terminal, stderr=terminal) as child:
        os.close(terminal)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(controller, 4096)
        if answer is None:
            _interrupt(child)
        else:
            os.write(controller, answer)
        with suppress(OSError):  # how a terminal says that nobody is left on the other side
            while True:
                shown += os.read(controller, 4096)
    os.close(controller)
    return child.returncode, shown.decode()


def test_on_a_terminal_it_asks_and_shows_a_bar(plants: Path) -> None:
    """Yes sends."""
    with ScriptedServer() as server:
        code, shown = _answered(server, plants, b"y\n")
    assert code == Exit.DONE
    assert "Send 2 items? [y/N]" in shown
    assert "Sending" in shown
    assert len(server.items) == 2


def test_no_sends_nothing(plants: Path) -> None:
    """Not even a declaration: nothing leaves before the answer."""
    with ScriptedServer() as server:
        code, shown = _answered(server, plants, b"\n")
    assert code == Exit.FAILED
    assert "Nothing was sent" in shown
    assert server.requests == []


def test_ctrl_c_at_the_question_sends_nothing(plants: Path) -> None:
    """130, and no traceback."""
    with ScriptedServer() as server:
        code, shown = _answered(server, plants, None)
    assert code == Exit.INTERRUPTED
    assert "nothing was sent" in shown
    assert "Traceback" not in shown
    assert server.requests == []
