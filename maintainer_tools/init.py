"""The command `init`: a new pod, and the home that opens it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from maintainer_tools.asking import ask_new_passphrase
from maintainer_tools.console import clean, ours, put_json, say
from maintainer_tools.pod_toml import first_pod_toml
from vault.founding import draw_keys, found_home
from vault.pod import SCHEMA_POLICIES, PodConfig, SchemaPolicy, check_url


@click.command("init")
@click.argument("home", type=click.Path(path_type=Path))
@click.option("--name", help="The pod's name for people; HOME's own if not given.")
@click.option("--url", default="", help="Where contributors will send to, such as https://pod.example.org.")
@click.option(
    "--policy",
    type=click.Choice(SCHEMA_POLICIES),
    default="extend",
    show_default=True,
    help="Who may add properties: contributors declare them, only you do, or they follow from the items.",
)
@click.option(
    "--passphrase", "is_protected", is_flag=True, help="Protect the identity; asks for a passphrase."
)
@click.option("--json", "is_json", is_flag=True, help="Print what was made as JSON.")
def init(
    home: Path, name: str | None, url: str, policy: SchemaPolicy, *, is_protected: bool, is_json: bool
) -> None:
    """Make a pod, and HOME, the folder that opens it."""
    passphrase = ask_new_passphrase() if is_protected else None
    keys = draw_keys(os.urandom)
    shown_name = name if name is not None else home.resolve().name
    pod_toml = first_pod_toml(
        keys.owner_key, name=shown_name, url=check_url(url) if url else "", policy=policy
    )
    made = found_home(home, keys, pod_toml, passphrase=passphrase, entropy=os.urandom)
    _say_what_to_save(home, made.config)
    if is_json:
        put_json(
            {
                "home": str(home),
                "pod": str(home / "pod"),
                "identity": str(home / "identity"),
                "owner_key": keys.owner_key.hex,
                "pod_id": made.pod_id.hex(),
            }
        )


def _say_what_to_save(home: Path, config: PodConfig) -> None:
    shown = clean(str(home))
    say(f'Made {shown}, the home of the pod "{clean(config.name)}":')
    say()
    say(f"  {shown}/identity  the one secret; whoever has it can read every item")
    say(f"  {shown}/pod       all a server needs; it opens nothing")
    say()
    say("Save the identity on paper now. Its 64 digits recover everything, together with")
    say("a copy of the pod. Without them nobody can read the items, not even you.")
    say()
    say(f"  {ours('identity', 'print', home)}")
    say()
    say("Then:")
    say()
    say(f"  {ours('serve', home)}")
    say(f"  {ours('invite', 'new', home, '--name', 'field-team', *_where(config))}")


def _where(config: PodConfig) -> tuple[str, ...]:
    """The option an invite needs as long as pod.toml has no url."""
    return () if config.url else ("--url", "http://127.0.0.1:3030")
