"""The command `serve`: become the server process.

The server is another program with other rights: it never has code in memory
that opens items. So this process checks what it can, then replaces itself with
a fresh interpreter that runs ``ingest``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import click

from maintainer_tools.console import put, say, warn
from maintainer_tools.findings import Finding, Mark, lines_of, ok
from maintainer_tools.ground import examine_ground, examine_listening, examine_versions
from maintainer_tools.homes import find_pod
from maintainer_tools.object_stores import DEFAULT_VERDICT, WayOut, certified
from vault.errors import MissingError, VaultError
from vault.pod import PodFolder, load_log_key
from vault.policies import load_policy

HOST, PORT = "127.0.0.1", 3030


@click.command("serve")
@click.argument("pods", metavar="POD...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--host", default=HOST, show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one."
)
@click.option(
    "--owners", metavar="HASHES", help="Serve these pods only: SHA-256 of owner keys, comma-separated."
)
@click.option("--max-body", type=click.IntRange(min=1), metavar="BYTES", help="Largest request body.")
@click.option("--body-seconds", type=float, metavar="SECONDS", help="How long a body may take.")
@click.option("--header-seconds", type=float, metavar="SECONDS", help="How long a request's head may take.")
@click.option("--idle-seconds", type=float, metavar="SECONDS", help="When an unused vault is closed.")
@click.option(
    "--max-open-vaults", type=click.IntRange(min=1), metavar="COUNT", help="Most vaults open at once."
)
@click.option(
    "--writers",
    type=click.IntRange(min=1, max=64),
    metavar="COUNT",
    help="Processes that write vaults; each pod has one.",
)
@click.option(
    "--max-connections", type=click.IntRange(min=64), metavar="COUNT", help="Most connections at once."
)
@click.option("--throttle", type=float, metavar="RATE", help="Answers a second to a network without a key.")
@click.option(
    "--trust-forwarded",
    multiple=True,
    metavar="ADDRESS|CIDR",
    help="A proxy whose X-Forwarded-For or Forwarded is believed.",
)
@click.option(
    "--metrics", metavar="ADDRESS", help="Serve /metrics, /live, /ready at a local HOST:PORT or unix:PATH."
)
@click.option(
    "--store", "url", metavar="URL", help="Put items into an object store: s3://BUCKET/PREFIX?endpoint=..."
)
@click.option(
    "--log-key", "key_place", metavar="PLACE", help="With --store: the function's key, such as file:PATH."
)
@click.option(
    "--verdict",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --store: what `store certify` wrote; store.verdict unless given.",
)
@click.option("--log-requests", is_flag=True, help="Log accepted requests too.")
@click.option("--print-unit", is_flag=True, help="Print a systemd unit for this command line, and end.")
def serve(
    pods: tuple[Path, ...],
    host: str,
    port: int,
    *,
    log_requests: bool,
    print_unit: bool,
    trust_forwarded: tuple[str, ...],
    url: str | None,
    key_place: str | None,
    verdict: Path | None,
    **options: str | float | None,
) -> None:
    """Serve pods over HTTP: homes, pod folders, or folders of them.

    The server holds no key: each request brings its own. It writes its log, JSON
    lines, to stderr. Stop it with Ctrl-C; what it accepted is kept.
    """
    folders = [folder.resolve() for path in pods for folder in _pods_in(path)]
    arguments = _options(host, port, log_requests=log_requests, options=options)
    arguments += [f"--trust-forwarded={proxy}" for proxy in trust_forwarded]
    arguments += ["--", *map(str, folders)]
    if url is None and (key_place or verdict):
        raise click.UsageError("--log-key and --verdict are about a store; name it by --store")
    way_out = _way_out(url, key_place, verdict or Path(DEFAULT_VERDICT)) if url is not None else None
    if print_unit:
        from maintainer_tools.unit import DEFAULT_BODY_SECONDS, unit_of

        body_seconds = float(options["body_seconds"] or DEFAULT_BODY_SECONDS)
        unit = unit_of(folders, arguments, host=host, body_seconds=body_seconds, way_out=way_out)
        put(unit.removesuffix("\n"))
        return
    if way_out is None:
        _say_what_is_served(folders, host, port)
        become_server(arguments)
    say(f"Serving {_count(folders)} at {host} port {port} into {url}. Ctrl-C stops it. Its log follows.")
    for line in lines_of([examine_versions(), examine_listening(host)]):
        say(line)
    become_server([*way_out.options, *arguments], "ingest.gateway")


def _way_out(url: str, key_place: str | None, verdict: Path) -> WayOut:
    """Where a server without vaults puts items: into a store that was certified."""
    if key_place is None:
        raise click.UsageError("--store needs --log-key, where the function's own key is, such as file:PATH")
    kind, colon, name = key_place.partition(":")
    if kind == "file":
        key_place = f"{kind}{colon}{Path(name).absolute()}"
    return WayOut(certified(url, verdict), key_place, verdict.absolute())


def become_server(arguments: Sequence[str], module: str = "ingest") -> NoReturn:
    """Replace this process with ``python -m ingest``.

    Args:
        arguments: Its command line.
        module: Another program of that room.

    Raises:
        click.ClickException: The server is not installed.
    """
    if importlib.util.find_spec("granian") is None:
        raise click.ClickException("the server is not installed; install shared-pod[serve]")
    # -P and our own place: a folder `ingest` in the current directory is not ours.
    root = str(Path(__file__).resolve().parents[1])
    others = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{others}" if others else root}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *arguments], environment)  # noqa: S606  # no shell


def _options(
    host: str, port: int, *, log_requests: bool, options: dict[str, str | float | None]
) -> list[str]:
    arguments = ["--host", host, "--port", str(port)]
    for name, value in options.items():
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    if log_requests:
        arguments.append("--log-requests")
    return arguments


def _say_what_is_served(folders: Sequence[Path], host: str, port: int) -> None:
    for folder in folders:
        _warn_if_unfit(folder)
    say(
        f"Serving {_count(folders)} at {host} port {port}. "
        "Ctrl-C stops it; what was accepted is kept. Its log follows."
    )
    for line in lines_of(_self_check(folders, host)):
        say(line)


def _count(folders: Sequence[Path]) -> str:
    return f"{len(folders)} pod{'s' * (len(folders) != 1)}"


def _self_check(folders: Sequence[Path], host: str) -> list[Finding]:
    """Examine what the server stands on: all that is not well, and one line for each matter that is."""
    findings = [examine_versions(), examine_listening(host)]
    well: dict[str, list[Finding]] = {}
    for folder in folders:
        for finding in examine_ground(PodFolder(folder), time.perf_counter, time.time()):
            if finding.mark is Mark.OK:
                well.setdefault(finding.matter, []).append(finding)
            else:
                findings.append(finding._replace(sentence=f"{folder.name}: {finding.sentence}"))
    for matter, alike in well.items():
        if len(alike) == len(folders):
            many = f"as it should be, for {len(folders)} pods"
            findings.append(alike[0] if len(alike) == 1 else ok(matter, many))
    return findings


def _warn_if_unfit(folder: Path) -> None:
    """Say now what the server would answer every request with 503 for."""
    pod = PodFolder(folder)
    try:
        load_policy(pod)
        load_log_key(pod)
    except VaultError as exc:
        warn(f"{folder} cannot take items in: {exc}")


def _pods_in(path: Path) -> Iterator[Path]:
    """The pod folders a name stands for: its own, or those of its children."""
    try:
        yield find_pod(path).path
    except MissingError:
        found = list(_children(path))
        if not found:
            raise
        yield from found


def _children(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    for child in sorted(path.iterdir()):
        try:
            yield find_pod(child).path
        except MissingError:
            # Other folders may stand beside pods.
            continue
