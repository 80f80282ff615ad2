"""The commands `identity print`, `check`, `new` and `public`: the one secret, and its public half."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.asking import ask_identity, ask_new_passphrase
from maintainer_tools.console import clean, ours, put, put_json, say
from maintainer_tools.exits import Exit
from maintainer_tools.homes import find_home, identity_at, open_identity
from maintainer_tools.new_files import new_folder, require_absent
from vault.founding import IDENTITY_FILE
from vault.identity_file import write_identity
from vault.opening import Identity
from vault.public_file import format_public, public_key_of


@click.group("identity")
def identity() -> None:
    """Print the one secret for paper, check a copy, or print its public half."""


@identity.command("print")
@click.argument("home", type=click.Path(path_type=Path))
def print_digits(home: Path) -> None:
    """Print the identity's 64 digits, which open everything in the pod."""
    found = open_identity(find_home(home))
    say("Whoever has these digits can read every item. Print or write them down, and keep them apart.")
    put(found.reveal().hex())


@identity.command("check")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def check(context: click.Context, home: Path, *, is_json: bool) -> None:
    """Say whether the digits you type are this home's: yes, or no with exit code 12.

    They are typed unseen, or read from standard input.
    """
    found = open_identity(find_home(home))
    is_same = ask_identity() == found
    if is_json:
        put_json({"message_type": "answer", "is_same": is_same})
    else:
        put("yes" if is_same else "no")
    if not is_same:
        context.exit(Exit.WRONG_KEY)


@identity.command("new")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--passphrase", "is_protected", is_flag=True, help="Protect the identity; asks for a passphrase."
)
def new(home: Path, *, is_protected: bool) -> None:
    """Make HOME with an identity and no pod: to read another maintainer's.

    Give them what `identity public` prints. A pod of your own is made by `init`.
    """
    require_absent(home)
    passphrase = ask_new_passphrase() if is_protected else None
    with new_folder(home) as partial:
        write_identity(partial / IDENTITY_FILE, Identity(os.urandom(32)), passphrase, os.urandom)
    say(f"Made {clean(str(home))} with an identity. Give its public key to the maintainer:")
    say(f"  {ours('identity', 'public', home)}")


@identity.command("public")
@click.argument("home", type=click.Path(path_type=Path))
def public(home: Path) -> None:
    """Print the identity's public key: to be sealed to, and to be trusted by colleagues.

    It is no secret. Who gets it must know that it is yours: compare fingerprints.
    """
    found = identity_at(home)
    say(f"Fingerprint: {public_key_of(found).fingerprint}")
    put(format_public(found))
