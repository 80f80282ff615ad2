"""The command ``shared-pod``: its commands by name, and the one place that ends it.

A command's module is loaded when the command is, so that ``--help`` answers at
once. Commands raise; what they raise becomes a sentence on stderr and an exit
code here (``maintainer_tools.exits`` says which), and nowhere else.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, cast

import click
import msgspec

from maintainer_tools.console import clean, say
from maintainer_tools.exits import Exit, exit_of
from vault.disk import storage_error
from vault.errors import VaultError

_LINK = re.compile(r"#sp[0-9]+\.[A-Za-z0-9_-]+")
"""What is secret in an invite's link."""


class Entry(NamedTuple):
    """One command before it is loaded.

    Attributes:
        section: Under which heading the help lists it.
        summary: What the help says of it.
        load: Gives the command.
    """

    section: str
    summary: str
    load: Callable[[], click.Command]


def _ours(name: str) -> Callable[[], click.Command]:
    """The command of that name in the module of that name."""

    def load() -> click.Command:
        command: click.Command = getattr(import_module(f"maintainer_tools.{name}"), name)
        return command

    return load


def _send() -> click.Command:
    # Spelled out for the architecture's contracts: one of three steps into the contributor's room.
    from contributor_tools.send import send

    return send


def _receipt() -> click.Command:
    # Another. A contributor checks receipts without what opens vaults: it is loaded to refresh only.
    from contributor_tools.receipt import show, verify
    from maintainer_tools.receipt import refresh, status

    return click.Group(
        "receipt",
        commands=[show, verify, refresh, status],
        help="Look at a receipt, verify it, bring it up to date, find its item.",
    )


def _promise() -> click.Command:
    # As receipts.
    from contributor_tools.promise import verify
    from maintainer_tools.promise import redeem

    return click.Group(
        "promise", commands=[verify, redeem], help="Verify what a function promised; make its receipt."
    )


COMMANDS = {
    "init": Entry("Start", "Make a pod, and the home that opens it.", _ours("init")),
    "serve": Entry("Start", "Take items in over HTTP.", _ours("serve")),
    "demo": Entry("Start", "Make a pod to try things with, and serve it.", _ours("demo")),
    "deploy": Entry("Start", "Have functions take items in, without a server.", _ours("deploy")),
    "invite": Entry("Invite", "Make, list, show, refresh and revoke invites.", _ours("invite")),
    "schema": Entry("Invite", "Show and declare properties.", _ours("schema")),
    "recipient": Entry("Invite", "Let a colleague open the pod too, or stop it.", _ours("recipient")),
    "send": Entry("Contribute", "Send the rows of a table to a pod.", _send),
    "receipt": Entry("Contribute", "Look at receipts, verify and refresh them.", _receipt),
    "promise": Entry("Contribute", "Verify what a function promised; make its receipt.", _promise),
    "collect": Entry("Read", "Bring in what functions put into a store.", _ours("collect")),
    "ls": Entry("Read", "List items, newest first.", _ours("ls")),
    "show": Entry("Read", "Print one item.", _ours("show")),
    "export": Entry("Read", "Write items out as CSV or JSON Lines.", _ours("export")),
    "join": Entry("Read", "Read a pod that another maintainer has.", _ours("join")),
    "withdrawals": Entry("Erase", "List what contributors want back.", _ours("withdrawals")),
    "erase": Entry("Erase", "Erase items for good.", _ours("erase")),
    "doctor": Entry("Safety", "Examine a home or a server's pod, and say what mends it.", _ours("doctor")),
    "check": Entry("Safety", "Open and recompute everything in a pod.", _ours("check")),
    "audit": Entry("Safety", "Prove what a pod holds, against what was kept elsewhere.", _ours("audit")),
    "store": Entry("Safety", "Find out whether an object store can be trusted.", _ours("store")),
    "checkpoint": Entry("Safety", "Keep a checkpoint of the log elsewhere.", _ours("checkpoint")),
    "repair": Entry("Safety", "Go on with what is left of a vault that is refused.", _ours("repair")),
    "snapshot": Entry("Safety", "Copy a pod while it is served.", _ours("snapshot")),
    "identity": Entry("Safety", "Print the secret for paper, or its public half.", _ours("identity")),
    "recovery": Entry("Safety", "Split the secret into shares on paper, or try them.", _ours("recovery")),
    "recover": Entry("Safety", "Make a home again from a pod and paper.", _ours("recover")),
    "rewrap": Entry("Safety", "Open old items to new recipients.", _ours("rewrap")),
    "rotate": Entry("Safety", "Replace a key of a pod.", _ours("rotate")),
    "upgrade": Entry("Safety", "Bring a pod to this program's format.", _ours("upgrade")),
    "help": Entry("Other", "Explain a command or a topic.", _ours("help")),
}
"""In the order a newcomer meets them."""


class Cli(click.Group):
    """The group of all commands; loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None if there is none of that name."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, without loading any."""
        del ctx
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            entries = ((name, entry) for name, entry in COMMANDS.items() if entry.section == section)
            with formatter.section(section):
                formatter.write_dl([(f"{name:<9}", entry.summary) for name, entry in entries])

    def main(  # type: ignore[override]  # the base has overloads for a mode that is not used here
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run a command line and leave with its exit code.

        Raises:
            SystemExit: Always.
        """
        given = list(sys.argv[1:] if args is None else args)
        try:
            ended = super().main(given, prog_name or "shared-pod", standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
            sys.exit(Exit.FAILED)
        except Exception as exc:  # noqa: BLE001  # the outer door: nothing passes but an exit code
            sys.exit(_report(exc, is_json="--json" in given))
        sys.exit(ended or Exit.DONE)


def _silence_stdout() -> None:
    # What is still buffered would fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception, *, is_json: bool) -> int:
    """Say what went wrong; return the exit code."""
    code = exit_of(error)
    message = _sentence(error)
    if is_json:
        document = {"message_type": "exit_error", "code": int(code), "message": message}
        say(msgspec.json.encode(document).decode())
    elif isinstance(error, click.UsageError):
        # Click's own form: usage, a hint where to find help, what is wrong.
        click.UsageError(_without_links(error.format_message()), error.ctx).show()
    else:
        say(f"error: {message}" if code is not Exit.INTERRUPTED else message)
    return code


def _without_links(sentence: str) -> str:
    """A sentence that quotes the command line, in which an invite's link may stand where its file should."""
    return _LINK.sub("#sp1.(secret)", sentence)


def _sentence(error: Exception) -> str:
    return _without_links(_sentence_of(error))


def _sentence_of(error: Exception) -> str:
    if isinstance(error, click.Abort):
        return "interrupted"
    if isinstance(error, click.ClickException):
        return clean(error.format_message())
    if isinstance(error, VaultError):
        return clean(str(error))
    if isinstance(error, OSError):
        return clean(_os_sentence(error))
    return _bug(error)


def _os_sentence(error: OSError) -> str:
    return str(storage_error(Path(str(error.filename or "a file")), error))


def _bug(error: Exception) -> str:
    # Not its message: it may hold a value, and values may be secret.
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in reversed(frames[-3:]))
    return f"this is a bug in shared-pod: {type(error).__name__} in {where}"


cli = Cli(
    "shared-pod",
    # Names alone: what click looks through for one that is near to a mistyped one.
    commands=cast("dict[str, click.Command]", dict.fromkeys(COMMANDS)),
    help="A drop box for data: whoever was invited puts items in, only you take them out.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Most commands name the pod first: the home that `init` made.",
)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run the command line of this process.

    Raises:
        SystemExit: Always.
    """
    # Identities and items are opened here: no crash may leave them in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Ended from outside: private copies are removed and nothing stays half written, as on Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    cli.main()
