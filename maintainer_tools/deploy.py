"""The command `deploy prepare`: lay out what a function is deployed with."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.bundling import parameters_of, write_deployment
from maintainer_tools.console import clean, ours, pasteable, put, put_json, say, warn
from maintainer_tools.deployed import KEY_FILE, keep_deployed
from maintainer_tools.homes import Change, Home, changing, find_home, open_identity
from maintainer_tools.invite_files import SUFFIX
from maintainer_tools.new_files import write_private
from maintainer_tools.times import now_ms
from vault.depositing import require_functions
from vault.errors import MissingError
from vault.files import read_file
from vault.invites import issued_slots, list_function
from vault.keys import KEY_BYTES, LogKey
from vault.opening import Identity
from vault.pod import parse_hex_line
from vault.policies import Policy

_MOST_KEY_BYTES = 100


@click.group("deploy")
def deploy() -> None:
    """Have functions take items in, in place of a server."""


@deploy.command("prepare")
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "out",
    default="deploy",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="What to deploy from; brought up to date if it is there.",
)
@click.option("--json", "is_json", is_flag=True, help="Print what was prepared as one JSON object.")
def prepare(home: Path, out: Path, *, is_json: bool) -> None:
    """Lay out what HOME's function is deployed with; run it again after every change of the policy.

    The first time it draws the function's own log key, which signs promises and
    opens nothing, into HOME/function.key, and lists it in the policy. The folder
    holds the template, its parameters, the function's code and the policy, and no
    secret. Printed are the commands that deploy it. A revoked invite is accepted
    until they have run.
    """
    found = find_home(home)
    identity = open_identity(found)
    with changing(found, identity) as change:
        policy, key, is_new = _with_a_function(found, change, identity)
        older = _open_invites(policy, identity) if is_new else []
        # Before it can be deployed: what is taken under it must be known when it is collected.
        keep_deployed(found.path, policy)
        write_deployment(out, policy)
    _warn_of_counted(policy)
    commands = [_deploying(out), _giving_the_key(found, policy)]
    _say_what_is_next(home, out, is_new=is_new, older=older)
    if is_json:
        put_json(
            {
                "folder": str(out),
                "function_key": key.public.hex(),
                **parameters_of(policy)._asdict(),
                "revision": policy.revision,
                "older_invites": older,
                "commands": commands,
            }
        )
    else:
        for command in commands:
            put(command)


def _with_a_function(home: Home, change: Change, identity: Identity) -> tuple[Policy, LogKey, bool]:
    """The policy that lists the function's key, published; that key; whether it was listed just now."""
    path = home.path / KEY_FILE
    key = _read_key(path)
    drawn = key or LogKey(os.urandom(KEY_BYTES))
    is_listed = drawn.public in change.policy.function_logs
    policy = change.policy if is_listed else list_function(change.policy, identity, drawn.public)
    require_functions(policy, drawn.public)
    if key is None:
        # First: a listed key that nobody has would stay in the policy for nothing.
        write_private(path, f"{drawn.reveal().hex()}\n".encode())
    if change.is_edited or not is_listed:
        change.publish(policy)
    return policy, drawn, not is_listed


def _read_key(path: Path) -> LogKey | None:
    try:
        content = read_file(path, _MOST_KEY_BYTES)
    except MissingError:
        return None
    return LogKey.from_hex(parse_hex_line(content, KEY_FILE))


def _open_invites(policy: Policy, identity: Identity) -> list[str]:
    """The names of the invites with which somebody can send."""
    at_ms = now_ms()
    return [issued.name for issued in issued_slots(policy, identity) if issued.slot.caveats_at(at_ms)]


def _warn_of_counted(policy: Policy) -> None:
    caveats = [slot.caveats for slot in policy.slots if slot.is_open and slot.caveats]
    if any(each.max_items is not None or each.max_bytes is not None for each in caveats):
        warn("functions cannot count: max-items and max-bytes are kept when `collect` brings items in")


def _deploying(out: Path) -> str:
    return f"cd {pasteable(out.absolute())} && sam build && sam deploy --guided"


def _giving_the_key(home: Home, policy: Policy) -> str:
    # The key is read from its file: a command line is seen by everybody on the machine.
    stack, name = parameters_of(policy)
    return pasteable(
        *("aws", "ssm", "put-parameter", "--name", name, "--type", "SecureString", "--overwrite"),
        *("--key-id", f"alias/{stack}", "--value", f"file://{(home.path / KEY_FILE).absolute()}"),
    )


def _say_what_is_next(home: Path, out: Path, *, is_new: bool, older: list[str]) -> None:
    say(f"{clean(str(out))} is ready to be deployed; nothing in it is secret.")
    if is_new:
        say(f"A new log key is in {clean(str(home / KEY_FILE))}, and listed in the policy.")
        _say_who_does_not_know_it(home, older)
    say("The first command deploys; the second, once and after it, gives the function its key,")
    say("until when it answers 503. `sam deploy` prints its Url and Store; then")
    say(f"  {ours('invite', 'new', home, '--name', 'NAME', '--url', 'URL')}")
    say(f"  {ours('store', 'certify', 'STORE')}")
    say(f"  {ours('collect', home, '--from', 'STORE')}")
    say("What the function judges by changes when it is deployed again, and not before: after `invite")
    say("revoke`, run this and the first command; the old code answers for at most 29 s after that.")


def _say_who_does_not_know_it(home: Path, older: list[str]) -> None:
    if not older:
        return
    say(f"{len(older)} invites were made before and do not know it: {clean(', '.join(older))}.")
    say("Their holders can send, but verify no promise. Bring their files up to date, for the url that is")
    say("printed when it is deployed, and hand them out again:")
    say(f"  {ours('invite', 'refresh', home, older[0] + SUFFIX, '--url', 'URL')}")
