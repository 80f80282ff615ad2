"""The commands `checkpoint export` and `checkpoint import`: a pod's log, kept elsewhere too."""

from __future__ import annotations

from pathlib import Path

import click

from maintainer_tools.console import clean, put, put_json, say
from maintainer_tools.homes import find_home
from maintainer_tools.new_files import write_private
from maintainer_tools.reading import reading
from maintainer_tools.witnesses import compare_seen, load_witness, move_seen
from vault.errors import MissingError
from vault.ledger import Ledger
from vault.reader import Reader
from vault.witness import Witness, compare, history_of, read_witness


@click.group("checkpoint")
def checkpoint() -> None:
    """Keep a checkpoint of the log elsewhere, and compare with it."""


@checkpoint.command("export")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--qr", "is_qr", is_flag=True, help="Draw it, to print or to photograph.")
@click.option("--json", "is_json", is_flag=True, help="Print it with its facts as JSON.")
def export(home: Path, file: Path | None, *, is_qr: bool, is_json: bool) -> None:
    """Write the newest checkpoint of HOME's log to the new FILE, or print it.

    It is no secret. Kept where this pod's server cannot reach it, it shows later that
    no batch it covers was dropped or altered: `audit --since FILE`.
    """
    with reading(home) as reader:
        compare_seen(home, reader)
        witness = _newest(reader)
    if file is not None:
        write_private(file, witness.note)
        say(f"Wrote {clean(str(file))}: a checkpoint of {_what(witness)}. Keep it apart from the pod.")
    if is_json:
        put_json({**_facts(witness), "checkpoint": witness.note.decode()})
    elif is_qr:
        put(_drawn(witness.note))
    elif file is None:
        put(witness.note.decode().removesuffix("\n"))


def _newest(reader: Reader) -> Witness:
    policy, ledger = reader.policy, reader.ledger
    _require_batch(ledger)
    return read_witness(ledger.checkpoint, "the vault", pod_id=policy.pod_id, log_keys=policy.vault_logs)


def _require_batch(ledger: Ledger) -> None:
    if not ledger.size:
        raise MissingError("nothing was put into this pod yet, so there is no checkpoint; try again later")


@checkpoint.command("import")
@click.argument("home", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print its facts as JSON.")
def import_(home: Path, file: Path, *, is_json: bool) -> None:
    """Compare HOME's vault with the checkpoint in FILE, and remember it from now on.

    Exit code 22 when the vault lacks batches that FILE covers, or has other ones.
    """
    with reading(home) as reader:
        witness = load_witness(file, clean(file.name), reader.policy)
        compare(witness, history_of(reader.rows, reader.meta, reader.ledger))
        compare_seen(home, reader)
        is_moved = move_seen(find_home(home), witness, reader.policy)
    say(f"The vault holds all that {clean(str(file))} covers: {_what(witness)}.")
    say("Remembered in seen.checkpoint." if is_moved else "seen.checkpoint covers as much or more; it stays.")
    if is_json:
        put_json({**_facts(witness), "is_moved": is_moved})


def _what(witness: Witness) -> str:
    return f"{witness.size} batch{'es' * (witness.size != 1)}, epoch {witness.epoch}"


def _facts(witness: Witness) -> dict[str, object]:
    return {"epoch": witness.epoch, "batches": witness.size, "root": witness.root.hex()}


def _drawn(note: bytes) -> str:
    """A QR code in half blocks; a scanner gives back the note."""
    import io

    import segno

    drawn = io.StringIO()
    # As bytes: a note is UTF-8, and any other guess would change its dash.
    segno.make(note, mode="byte", error="m", micro=False).terminal(drawn, compact=True)
    return drawn.getvalue().removesuffix("\n")
