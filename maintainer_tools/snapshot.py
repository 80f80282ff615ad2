"""The command `snapshot`: a copy of a pod, without any key, while it is served."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.console import clean, put_json, say
from maintainer_tools.homes import PATIENCE, find_pod
from vault.snapshot import take_snapshot


@click.command("snapshot")
@click.argument("pod", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print what was made as JSON.")
def snapshot(pod: Path, out: Path, *, is_json: bool) -> None:
    """Copy POD, a home or a pod's folder, into the new folder OUT.

    The server may go on writing. The copy is sealed as the pod is; it can be read
    with the identity (`recover`), but not be served: log.key stays where it is.
    """
    made = take_snapshot(find_pod(pod).path, out, PATIENCE)
    say(f"Copied the pod into {clean(str(out))} ({made.size_bytes} bytes).")
    if is_json:
        put_json({"message_type": "summary", "folder": str(out), "size_bytes": made.size_bytes})
