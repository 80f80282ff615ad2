"""The command `store certify`: find out whether an object store can be trusted with ids."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
import msgspec

from maintainer_tools.console import clean, put_json, say
from maintainer_tools.exits import Exit
from maintainer_tools.object_stores import DEFAULT_VERDICT, require_library
from maintainer_tools.times import now_ms


@click.group("store")
def store() -> None:
    """Look at an object store before functions put items into it."""


@store.command("certify")
@click.argument("url")
@click.option(
    "--to",
    "path",
    default=DEFAULT_VERDICT,
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where the verdict is written.",
)
@click.option("--json", "is_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def certify(context: click.Context, url: str, path: Path, *, is_json: bool) -> None:
    """Try the object store at URL, and write a verdict about it.

    URL is s3://BUCKET/PREFIX, with ?endpoint=https://... for another store than
    AWS's, once for each of its gateways. Keys come from the environment, as the
    store's own tools read them; they must be allowed to put, tag, read and list
    there, and should be to delete. A store that is not accepted ends with exit code 3:
    items could be lost in it.
    """
    require_library()
    from cloud.store_address import parse_store_address
    from cloud.trying import Tools
    from cloud.verdicts import Check, write_verdict
    from maintainer_tools.certifying import Certifier

    address = parse_store_address(url)
    certifier = Certifier(address, Tools(time.monotonic, time.sleep, os.urandom), now_ms)

    def tell(check: Check) -> None:
        say(f"{'ok    ' if check.is_passed else 'FAILED'} {check.name}: {clean(check.said)}")

    verdict = certifier.certify(tell)
    write_verdict(path, verdict)
    told = ", ".join(f"{name} {clean(said)}" for name, said in verdict.configuration.items())
    say(f"The bucket: {told}.")
    say(f"{'Accepted' if verdict.is_accepted else 'NOT accepted'}; the verdict is in {clean(str(path))}.")
    if is_json:
        put_json({"is_accepted": verdict.is_accepted, **msgspec.to_builtins(verdict)})
    if not verdict.is_accepted:
        context.exit(Exit.FINDINGS)
