"""The command `help`: a command's help, or a topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import click

from maintainer_tools.asking import PASSPHRASE_VARIABLE
from maintainer_tools.console import put
from maintainer_tools.exits import MEANINGS


def _exit_codes() -> None:
    for code, meaning in MEANINGS.items():
        put(f"{code:>3}  {meaning}")


def _environment() -> None:
    put(f"{PASSPHRASE_VARIABLE}  a file whose first line is the identity's passphrase, for scripts")
    put("TMPDIR                      where private copies are made while a pod is read")
    put("POD_OWNER_HASHES            as `serve --owners`")
    put("AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE")
    put(
        "                            whose keys an object store is asked with; AWS_CA_BUNDLE, whom TLS trusts"
    )
    put("NO_COLOR                    no colours")


_FORMATS = """\
JSON Lines: one item a line, exactly as it was sealed, numbers to the last digit.
Added are _from (the invite), _seq (the place in the vault) and _received (UTC
milliseconds); no member that a contributor sends begins with an underscore.

CSV: one file a type; RFC 4180, UTF-8, no byte order mark. Columns: id, from,
received, then dateCreated, dateModified and deleted if an item has them, then the
properties under their labels; a label used twice has the property's name behind it.
  absent      an empty cell, as empty text is; absent dates are when it was received
  Text        as it is; with an apostrophe first if it begins with = + - @, also full-width
              or behind white space, a tab or a line end: a spreadsheet would run it
  Integer     36
  Real        36.0; the same float64 comes back
  Bool        true, false
  DateTime    2007-11-11 if all of the column are midnight in UTC, else
              2007-11-11T14:30:00.000Z
Where invites gave a property different types, Integer and Real become Real and
anything else Text. Items that declare properties are left out unless --type asks."""


def _formats() -> None:
    put(_FORMATS)


TOPICS: Mapping[str, Callable[[], None]] = {
    "exit-codes": _exit_codes,
    "environment": _environment,
    "formats": _formats,
}


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help(context: click.Context, topic: str | None) -> None:  # noqa: A001  # named for what one types
    """Explain a command, or a topic: exit-codes, environment, formats."""
    root = context.find_root()
    if topic is None:
        put(root.get_help())
    elif topic in TOPICS:
        TOPICS[topic]()
    else:
        _put_help_of(topic, root)


def _put_help_of(name: str, root: click.Context) -> None:
    group = cast(click.Group, root.command)
    command = group.get_command(root, name)
    if command is None:
        raise click.UsageError(f"there is no command or topic {name}; topics are {', '.join(TOPICS)}")
    with click.Context(command, parent=root, info_name=name) as of_command:
        put(command.get_help(of_command))
