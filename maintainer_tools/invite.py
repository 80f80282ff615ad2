"""The commands `invite new`, `ls`, `show`, `refresh` and `revoke`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from maintainer_tools.caveat_options import caveats_of, shown_limits
from maintainer_tools.console import clean, ours, put, put_json, put_table, say
from maintainer_tools.file_key_rotation import rotate_file_key
from maintainer_tools.homes import Change, changing, find_home, home_policy, open_identity
from maintainer_tools.invite_files import SUFFIX, issue_into, read_invite, refresh_file
from maintainer_tools.times import iso, now_ms
from vault.caveats import Caveats, is_expired
from vault.errors import MissingError
from vault.invites import IssuedSlot, issued_slots, revoke
from vault.links import Invite, check_slot_name, format_invite
from vault.opening import Identity
from vault.pod import check_url


@click.group("invite")
def invite() -> None:
    """Make, list, show, refresh and revoke invites."""


@invite.command("new")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Whose it is. The file is NAME.invite, in the current folder.")
@click.option("--types", metavar="A,B", help="Only items of these types.")
@click.option("--expires", metavar="WHEN", help="30d, 12h, or a day such as 2027-01-31 (to its end, UTC).")
@click.option("--max-items", metavar="COUNT", help="Most items, ever.")
@click.option("--max-bytes", metavar="SIZE", help="Most bytes, ever; such as 500M.")
@click.option("--max-item-bytes", metavar="SIZE", help="Most bytes of one item; such as 64k.")
@click.option("--rate", metavar="ITEMS[,SIZE]", help="Most items, and bytes of requests, a minute.")
@click.option("--url", help="Where to send to, if not the pod's own url.")
@click.option("--json", "is_json", is_flag=True, help="Print the link with its facts as JSON.")
def new(home: Path, name: str, url: str | None, *, is_json: bool, **limits: str | None) -> None:
    """Make an invite: a file for one contributor, and its link.

    Whoever has the link can put items in, within its limits, and take nothing out.
    """
    caveats = caveats_of(**limits, now_ms=now_ms())
    found = find_home(home)
    identity = open_identity(found)
    path = Path(check_slot_name(name) + SUFFIX)
    with changing(found, identity) as change:
        made = _issue(change, identity, name=name, caveats=caveats, url=url, path=path)
    _say_what_it_is(home, path, caveats, is_declaring=change.policy.config.policy != "closed")
    if is_json:
        put_json({**_facts(made), "file": str(path), "link": format_invite(made)})
    else:
        put(format_invite(made))


def _issue(
    change: Change, identity: Identity, *, name: str, caveats: Caveats, url: str | None, path: Path
) -> Invite:
    own_url = check_url(url) if url else change.policy.config.url
    if not own_url:
        raise click.UsageError("the pod has no url yet; pass --url https://..., or write one into pod.toml")
    return issue_into(path, change, identity, name=name, caveats=caveats, url=own_url)


def _say_what_it_is(home: Path, path: Path, caveats: Caveats, *, is_declaring: bool) -> None:
    limits = "; ".join(shown_limits(caveats)) or "no limits"
    say(f"Wrote {clean(str(path))}: {clean(limits)}.")
    say("Give it to one contributor, over a channel you trust. Whoever has it, or its link,")
    say("can put items in and take none out. To take it back:")
    say(f"  {ours('invite', 'revoke', home, path.stem)}")
    if not is_declaring:
        say("note: its holder cannot declare properties, only use those you declare, with")
        say("`schema add`, or with `schema learn` and one of their files.")


@invite.command("ls")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print one JSON array.")
def ls(home: Path, *, is_json: bool) -> None:
    """List a pod's invites, revoked ones too."""
    found = find_home(home)
    identity = open_identity(found)
    slots = issued_slots(home_policy(found, identity), identity)
    if is_json:
        put_json([_slot_facts(issued) for issued in slots])
        return
    rows = [(issued.name, str(issued.slot.number), _state(issued), _limits(issued)) for issued in slots]
    put_table(("NAME", "SLOT", "STATE", "LIMITS"), rows)
    if not rows:
        say("No invites yet.")


def _slot_facts(issued: IssuedSlot) -> dict[str, Any]:
    caveats = issued.slot.caveats
    return {
        "name": issued.name,
        "slot": issued.slot.number,
        "state": _state(issued),
        "caveats": caveats.as_map() if caveats else None,
    }


def _state(issued: IssuedSlot) -> str:
    slot = issued.slot
    if slot.caveats is None:
        return "closed"
    if not slot.is_open:
        return "revoked"
    return "expired" if is_expired(slot.caveats, now_ms()) else "open"


def _limits(issued: IssuedSlot) -> str:
    caveats = issued.slot.caveats
    if caveats is None:
        return "a limit this version does not know"
    return "; ".join(shown_limits(caveats)) or "none"


@invite.command("show")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--memri", "is_memri", is_flag=True, help="The three raw values for any Memri client; one is secret."
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def show(file: Path, *, is_memri: bool, is_json: bool) -> None:
    """Say what an invite is for: FILE, or - for standard input.

    Its key is not shown, unless you ask for the values a Memri client takes.
    """
    made = read_invite(file)
    facts = _memri(made) if is_memri else _facts(made)
    if is_json:
        put_json(facts)
        return
    for name, value in _shown(facts):
        put(f"{name:<13} {clean(value)}")


def _memri(made: Invite) -> dict[str, Any]:
    return {
        "url": made.url,
        "owner_key": made.owner_key.hex,
        "database_key": made.database_key.reveal().hex(),
    }


def _facts(made: Invite) -> dict[str, Any]:
    return {
        "name": made.name,
        "pod": made.pod_name,
        "url": made.url,
        "owner_key": made.owner_key.hex,
        "slot": made.slot,
        "expires": None if made.expires is None else iso(made.expires),
        "types": None if made.types is None else list(made.types),
        "signer": made.signer.hex(),
    }


def _shown(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if value is not None:
            yield name, ",".join(value) if isinstance(value, list) else str(value)


@invite.command("refresh")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--url", help="Where to send to from now on, if not as before.")
@click.option("--json", "is_json", is_flag=True, help="Print each link with its facts as JSON.")
def refresh(home: Path, files: tuple[Path, ...], url: str | None, *, is_json: bool) -> None:
    """Bring invites' files up to date: the same key, with what their holders verify by.

    An invite names the log keys that were there when it was made. After `deploy
    prepare` listed another, its holder can send, and verifies no promise with it.
    Hand out the new link in place of the old one; both go on working.
    """
    found = find_home(home)
    identity = open_identity(found)
    policy = home_policy(found, identity)
    own_url = check_url(url) if url else None
    for path in files:
        made = refresh_file(path, policy, identity, url=own_url)
        say(f"Wrote {clean(str(path))}: hand it out again, over a channel you trust.")
        if is_json:
            put_json({**_facts(made), "file": str(path), "link": format_invite(made)})
        else:
            put(format_invite(made))


@invite.command("revoke")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--rotate", "is_rotating", is_flag=True, help="And give the vault a new file key.")
def revoke_invite(home: Path, name: str, *, is_rotating: bool) -> None:
    """Close an invite for good; a running server stops accepting it within a second.

    What it put in stays. Its name is not used again. Its holder could have
    unwrapped the file key, which shows a copy's counts, sizes and times; with
    --rotate it opens no vault that is written from now on.
    """
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        _revoke(change, identity, name)
    if is_rotating:
        with changing(found, identity) as change:
            rotate_file_key(found, change, identity, entropy=os.urandom)
        say("The vault has a new file key. Every other invite goes on working.")


def _revoke(change: Change, identity: Identity, name: str) -> None:
    slot = _slot_named(name, issued_slots(change.policy, identity)).slot
    if slot.wrap is None:
        say(f"{clean(name)} was revoked before; nothing to do.")
        return
    change.publish(revoke(change.policy, identity, slot.number))
    say(f"Revoked {clean(name)}. Items it sent stay in the pod.")


def _slot_named(name: str, slots: list[IssuedSlot]) -> IssuedSlot:
    for issued in slots:
        if issued.name == name:
            return issued
    raise MissingError(f"no invite is named {name}; `invite ls` lists them")
