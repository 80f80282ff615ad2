"""Asking a person: for a yes, and for secrets where nobody else can see them.

Secrets are typed into a hidden prompt, or come from standard input or a file;
they are never arguments, which stand in process lists and shell histories.
Nothing here is kept or printed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from maintainer_tools.console import say
from maintainer_tools.exits import CredentialsMissingError
from vault.errors import MalformedError
from vault.files import read_file
from vault.opening import Identity

PASSPHRASE_VARIABLE = "SHARED_POD_PASSPHRASE_FILE"  # noqa: S105  # a variable's name
"""Environment variable with the path of a file whose first line is the passphrase; for scripts."""

_MOST_BYTES = 4096
"""Longest passphrase, or line of digits, read."""


def ask_passphrase() -> str:
    """Ask for the passphrase of an identity.

    Raises:
        CredentialsMissingError: There is none to read.
        MalformedError: It is not text.
    """
    return _passphrase_from_file() or ask_line("Passphrase of the identity")


def ask_new_passphrase() -> str:
    """Ask for a new passphrase, twice where it is typed.

    Raises:
        CredentialsMissingError: There is none to read.
        MalformedError: It is not text.
    """
    given = _passphrase_from_file()
    if given is not None:
        return given
    if sys.stdin.isatty():
        return _typed("New passphrase", is_repeated=True)
    return ask_line("New passphrase")


def ask_identity() -> Identity:
    """Ask for an identity's 64 digits. White space and hyphens among them are ignored.

    Raises:
        CredentialsMissingError: Nothing was given.
        MalformedError: Something else was given; it is not quoted.
    """
    typed = ask_line("The 64 digits of the identity")
    return Identity.from_hex("".join(typed.replace("-", " ").split()))


def ask_line(prompt: str) -> str:
    """Ask for one secret line, typed unseen or read from standard input.

    Raises:
        CredentialsMissingError: There is none to read.
        MalformedError: It is not text.
    """
    if sys.stdin.isatty():
        return _typed(prompt, is_repeated=False)
    say(f"{prompt}: read from standard input")
    raw = sys.stdin.buffer.readline(_MOST_BYTES)
    line = _decoded(raw.rstrip(b"\r\n"))
    if not line:
        raise CredentialsMissingError(
            f"{prompt}: nothing came from standard input; run this in a terminal, or pass it there"
        )
    return line


def agrees(question: str) -> bool:
    """Ask a person for a yes.

    Raises:
        click.UsageError: As ``require_person``.
    """
    require_person()
    return click.confirm(question, err=True)


def require_person() -> None:
    """Refuse to ask where nobody can answer.

    Raises:
        click.UsageError: This is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "nobody can be asked here, this is no terminal; pass --yes to go on without asking"
        )


def _passphrase_from_file() -> str | None:
    path = os.environ.get(PASSPHRASE_VARIABLE)
    if not path:
        return None
    line = _decoded(read_file(Path(path), _MOST_BYTES, may_be_pipe=True).partition(b"\n")[0])
    if not line:
        raise CredentialsMissingError(f"the file {PASSPHRASE_VARIABLE} names begins with an empty line")
    return line


def _typed(prompt: str, *, is_repeated: bool) -> str:
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=is_repeated, err=True))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise MalformedError("a passphrase or digits in UTF-8 were expected") from exc
