"""The commands `recipient add`, `remove` and `ls`: who else can open a pod."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.console import clean, ours, put_json, put_table, say
from maintainer_tools.homes import changing, find_home, home_policy, open_identity
from maintainer_tools.public_keys import read_public
from vault.errors import MissingError
from vault.opening import Identity
from vault.recipients import NamedRecipient, add_recipient, named_recipients, remove_recipient

OWN = "(this home)"


@click.group("recipient")
def recipient() -> None:
    """Let a colleague open the pod too, or stop it."""


@recipient.command("add")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", required=True, help="Whose key it is.")
def add(home: Path, file: Path, name: str) -> None:
    """Seal new items to a colleague's public key too: FILE, or - for standard input.

    FILE is what `identity public` printed for them. Whoever has the identity
    behind it can read everything that is sealed to it, for good.
    """
    found = find_home(home)
    identity = open_identity(found)
    key = read_public(file)
    with changing(found, identity) as change:
        change.publish(add_recipient(change.policy, identity, key.recipient, name=name))
    say(f"Items that come from now on are sealed to {clean(name)} too. Compare its fingerprint with them:")
    say(f"  {key.fingerprint}")
    say("Items that were there before open for them once this has run:")
    say(f"  {ours('rewrap', home)}")
    say("They read a snapshot of the pod with `join`, which needs your public key too:")
    say(f"  {ours('identity', 'public', home)}")


@recipient.command("remove")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("name")
def remove(home: Path, name: str) -> None:
    """Seal nothing to a recipient any more: NAME, or the key id that `ls` shows.

    What was sealed to them they can open for good, in any copy they get.
    """
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        named = _find(name, named_recipients(change.policy, identity))
        change.publish(remove_recipient(change.policy, identity, named.recipient))
    say(f"Items that come from now on are not sealed to {clean(name)}. What was there before they can still")
    say("open, in this pod's file and in every copy: no key can be taken back. They have had the file key;")
    say("so that no file written from now on opens for them:")
    say(f"  {ours('rotate', home, '--file-key')}")


def _find(name: str, recipients: list[NamedRecipient]) -> NamedRecipient:
    for each in recipients:
        if name in {each.name, each.recipient.kid.hex()}:
            return each
    raise MissingError(f"no recipient is named {name}; `recipient ls` lists them")


@recipient.command("ls")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON array.")
def ls(home: Path, *, is_json: bool) -> None:
    """List to whom new items are sealed."""
    found = find_home(home)
    identity = open_identity(found)
    named = named_recipients(home_policy(found, identity), identity)
    if is_json:
        put_json([_facts(each, identity) for each in named])
    else:
        rows = [(each.name or _unnamed(each, identity), each.recipient.kid.hex()) for each in named]
        put_table(("NAME", "KEY ID"), rows)


def _unnamed(each: NamedRecipient, identity: Identity) -> str:
    return OWN if each.recipient == identity.recipient else "-"


def _facts(each: NamedRecipient, identity: Identity) -> dict[str, object]:
    is_own = each.recipient == identity.recipient
    return {"name": each.name or None, "kid": each.recipient.kid.hex(), "is_own": is_own}
