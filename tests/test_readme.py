"""The README's commands, run as a newcomer runs them: in order, in a fresh copy."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STORE = "make store"
SERVING = ("make run", "shared-pod serve", STORE)
"""Commands that keep running: each in a terminal of its own, until the next pod is served."""
FINDS = 2
"""Items that go through the store."""
START_SECONDS = 120
ROWS = 345
"""The table's 344, and the one that curl sends."""


def _blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def _commands() -> list[str]:
    """Every command of every block but ``make test``, which is what runs this."""
    lines = [line for block in _blocks() for line in block.splitlines()]
    commands = [line.partition("  #")[0].strip() for line in lines]
    return [command for command in commands if command and command != "make test"]


class Terminal:
    """A command that keeps running, and what it printed."""

    def __init__(self, command: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=folder,
            env=_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(self.process.stdout)

    def wait_for(self, word: str) -> str:
        """Wait until a line with ``word`` was printed; return it."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = [line for line in list(self.lines) if word in line]
            if found:
                return found[0].strip()
            assert self._thread.is_alive(), f"it ended without {word!r}: {''.join(self.lines)}"
            assert time.monotonic() < deadline, f"no {word!r} in: {''.join(self.lines)}"
            time.sleep(0.05)

    def close(self) -> None:
        """Press Ctrl-C, and end it if it goes on nevertheless."""
        os.killpg(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        finally:
            self._thread.join(60)
            assert self.process.stdout
            self.process.stdout.close()


def _environment(folder: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "COVERAGE"))
    }
    return kept | {"PATH": f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"}


def _exported(command: str, folder: Path) -> dict[str, str]:
    """What a command leaves to those after it: ``export NAME=VALUE``."""
    name, _, value = command.removeprefix("export ").partition("=")
    return {name: value.replace("$PWD", str(folder))}


def _run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=_environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's files in an empty folder, with the environment that was installed already."""
    if not (ROOT / ".venv" / "bin" / "shared-pod").exists():
        pytest.fail("run this by `make test`: the README's commands need .venv")
    folder = tmp_path / "shared-pod"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "*cache*", "demo-*", ".coverage*", "*.egg-info", ".hypothesis"
    )
    shutil.copytree(ROOT, folder, ignore=ignored)
    _lend_environment(folder / ".venv")
    return folder


def _lend_environment(place: Path) -> None:
    """What is installed, under stamps of its own: make must not install the copy into it."""
    place.mkdir()
    for installed in (ROOT / ".venv").iterdir():
        if installed.suffix != ".stamp":
            (place / installed.name).symlink_to(installed)
    for stamp in ("made", "run", "all"):
        (place / f"{stamp}.stamp").touch()


@pytest.fixture
def terminals() -> Iterator[contextlib.ExitStack]:
    """Ends whatever still runs."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works_in_order(clone: Path, terminals: contextlib.ExitStack) -> None:
    """A newcomer pastes them one after the other; the line that `make run` prints is one of them."""
    outputs = {}
    exported = pytest.MonkeyPatch()
    terminals.callback(exported.undo)
    store = terminals.enter_context(contextlib.ExitStack())
    pods = store.enter_context(contextlib.ExitStack())
    for command in _commands():
        if command.startswith("export "):
            for name, value in _exported(command, clone).items():
                exported.setenv(name, value)
            continue
        if not command.startswith(SERVING):
            outputs[command] = _run(command, clone)
            continue
        pods.close()
        terminal = Terminal(command, clone)
        (store if command == STORE else pods).callback(terminal.close)
        terminal.wait_for('"listening"')
        if command == "make run":
            assert re.fullmatch(r'"[0-9a-f]{32}"', _run(terminal.wait_for("curl "), clone))
    assert len((clone / "penguins.jsonl").read_text().splitlines()) == ROWS
    assert "Penguin.csv" in os.listdir(clone / "penguins")
    assert outputs["shared-pod ls birds-found --limit 5"] == outputs["shared-pod ls birds --limit 5"] != ""
    assert outputs["shared-pod check birds-again"] == outputs["shared-pod check birds"]
    assert outputs["shared-pod ls finds"].count("\tFind\t") == FINDS
    promises = {command: said for command, said in outputs.items() if "in promises/" in command}
    (proven,) = (said for command, said in promises.items() if "promise verify" in command)
    (received,) = (said for command, said in promises.items() if "receipt verify" in command)
    assert (
        proven.count("PROVEN: a function of the pod") == received.count("PROVEN: the pod accepted") == FINDS
    )
