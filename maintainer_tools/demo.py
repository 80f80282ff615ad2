"""The command `demo`: a pod to try things with, and a line to paste."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from maintainer_tools.console import clean, ours, pasteable, say
from maintainer_tools.homes import Home, changing, find_home, open_identity
from maintainer_tools.invite_files import SUFFIX, issue_into, read_invite
from maintainer_tools.new_files import write_private
from maintainer_tools.pod_toml import first_pod_toml
from maintainer_tools.serve import HOST, PORT, become_server
from vault.caveats import Caveats
from vault.founding import draw_keys, found_home
from vault.links import Invite
from vault.opening import Identity

_INVITE = f"demo{SUFFIX}"
_ITEM = "item.json"
_PAYLOAD = {"type": "Plant", "latinName": "Rosa canina", "heightCm": 120, "edible": True}


@click.command("demo")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Port to listen at."
)
def demo(folder: Path, port: int) -> None:
    """Make a pod in FOLDER to try things with, and serve it; an existing one is served again."""
    url = f"http://{HOST}:{port}"
    if not os.path.lexists(folder):
        _make(folder, url)
    home = find_home(folder)
    invite = _invite(home, open_identity(home), url)
    _write_item(folder / _ITEM, invite)
    _say_what_to_do(folder, invite, url)
    become_server(["--host", HOST, "--port", str(port), "--", str(home.pod.path.resolve())])


def _make(folder: Path, url: str) -> None:
    keys = draw_keys(os.urandom)
    # A line to paste declares nothing before it: types follow from the items.
    pod_toml = first_pod_toml(keys.owner_key, name="Demo pod", url=url, policy="infer")
    found_home(folder, keys, pod_toml, passphrase=None, entropy=os.urandom)


def _invite(home: Home, identity: Identity, url: str) -> Invite:
    """The demo's own invite; made if it is not there."""
    path = home.path / _INVITE
    if path.exists():
        return read_invite(path)
    with changing(home, identity) as change:
        name = f"demo-{len(change.policy.slots) + 1}"
        return issue_into(path, change, identity, name=name, caveats=Caveats(), url=url)


def _write_item(path: Path, invite: Invite) -> None:
    """Write the body of a request, auth included: the key must not stand on a command line."""
    if path.exists():
        return
    auth = {"type": "ClientAuth", "databaseKey": invite.database_key.reveal().hex()}
    write_private(path, msgspec.json.format(msgspec.json.encode({"auth": auth, "payload": _PAYLOAD})) + b"\n")


def _say_what_to_do(folder: Path, invite: Invite, url: str) -> None:
    say(f"A demo pod is in {clean(str(folder))}. To put an item in, paste this into another terminal:")
    say()
    say(f"  {pasteable('curl', '-d', f'@{folder / _ITEM}', f'{url}/v4/{invite.owner_key.hex}/create_item')}")
    say()
    say("The server stores it and cannot read it. You can, from the file, with the home's identity:")
    say()
    say(f"  {ours('ls', folder)}")
    say(f"  {ours('export', folder, 'demo-export', '--format', 'csv')}")
    say()
    say("Stop the server with Ctrl-C. Its log follows.")
