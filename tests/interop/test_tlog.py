"""The log part of receipts, verified by Go's transparency log packages: code we did not write.

``tlog/`` is a Go program on golang.org/x/mod (sumdb/note and sumdb/tlog). It
reads the receipt files that these tests write, and a key; it shares nothing
with us but vault/FORMAT.md. What we accept it accepts, and what we refuse in
the log part it refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.golang import build
from tests.support.receipts import Kept, keep
from tests.support.vectors import TESTDATA, vectors
from vault.errors import VaultError
from vault.header import parse_header
from vault.notes import Checkpoint, origin_of, read_checkpoint, sign_checkpoint
from vault.receipt_files import ReceiptFile, format_receipt_file, verify_receipt_file
from vault.receipts import decode_receipt
from vault.refreshing import refreshed

SOURCE = Path(__file__).parent / "tlog"
SIZES = range(4, 20)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built."""
    return build(SOURCE, tmp_path_factory.mktemp("go") / "tlog")


def _verifier_key(origin: str, public: bytes) -> str:
    """A key as C2SP signed-note writes it, spelled out from there."""
    typed = b"\x01" + public
    key_id = hashlib.sha256(origin.encode() + b"\n" + typed).digest()[:4]
    return f"{origin}+{key_id.hex()}+{base64.b64encode(typed).decode()}"


def _check(program: Path, key: str, paths: Sequence[Path]) -> list[dict[str, Any]]:
    return _run(program, "receipts", key, *paths)


def _run(program: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def _write(folder: Path, files: dict[str, ReceiptFile]) -> list[Path]:
    paths = [folder / f"{name}.receipt" for name in files]
    for path, file in zip(paths, files.values(), strict=True):
        path.write_bytes(format_receipt_file(file))
    return paths


def _key_of(kept: Kept) -> str:
    return _verifier_key(origin_of(kept.pod.policy.pod_id, 1), kept.pod.keys.log_key.public)


def _refreshed(kept: Kept, file: ReceiptFile) -> ReceiptFile:
    policy = kept.pod.policy
    with kept.pod.reader() as reader:
        return refreshed(
            file,
            reader.rows,
            reader.ledger,
            pod_id=policy.pod_id,
            log_keys=policy.vault_logs,
            function_keys=(),
        )


def test_go_accepts_receipts_and_refreshes_from_every_size_to_every_later_one(
    program: Path, tmp_path: Path
) -> None:
    """In one step, and step by step: notes, checkpoints, inclusion, consistency."""
    kept = keep(tmp_path)
    slot = kept.pod.opened(kept.invite)
    chain, files = ReceiptFile(None, kept.receipt), {"own": ReceiptFile(None, kept.receipt)}
    given: dict[int, ReceiptFile] = {}
    for size in SIZES:
        chain = _refreshed(kept, chain)
        files[f"chain to {size}"] = chain
        for batch, own in given.items():
            files[f"{batch} to {size}"] = _refreshed(kept, own)
        with kept.pod.writer() as writer:
            (answer,) = writer.commit(kept.pod.policy, [kept.pod.submission(slot, text=f"{size}")])
        given[size + 1] = ReceiptFile("an-item", decode_receipt(answer.receipt or ""))
    verdicts = _check(program, _key_of(kept), _write(tmp_path, files))
    assert [verdict["error"] for verdict in verdicts] == [""] * len(files)
    assert verdicts[0]["sizes"] == [3]
    found = {Path(verdict["file"]).stem: verdict["sizes"] for verdict in verdicts}
    assert found["chain to 19"] == [3, *SIZES]
    assert found["8 to 19"] == [8, 19]
    assert found["16 to 17"] == [16, 17]


def test_go_refuses_what_we_refuse(program: Path, tmp_path: Path) -> None:
    """Each with one fault; both implementations see every one of them."""
    kept = keep(tmp_path)
    kept.log(*"abcde")
    whole = _refreshed(kept, ReceiptFile(None, kept.receipt))
    files = _faulty(kept, whole)
    _, *verdicts = _check(program, _key_of(kept), _write(tmp_path, {"whole": whole, **files}))
    assert {Path(verdict["file"]).stem for verdict in verdicts if not verdict["error"]} == set()
    assert len(verdicts) == len(files) == 14
    for file in files.values():
        with pytest.raises(VaultError):
            verify_receipt_file(file, pod_id=kept.pod.policy.pod_id, log_keys=kept.pod.policy.vault_logs)


def _faulty(kept: Kept, whole: ReceiptFile) -> dict[str, ReceiptFile]:
    receipt, (refresh,) = whole.receipt, whole.refreshes
    key = kept.pod.keys.log_key

    def signed(note: bytes, **changes: Any) -> bytes:
        return sign_checkpoint(msgspec.structs.replace(read_checkpoint(note), **changes), key)

    header = msgspec.structs.replace(parse_header(receipt.header), ms=1).pack()
    receipts: dict[str, dict[str, Any]] = {
        "another header": {"header": header},
        "log path altered": {"log_path": _altered(receipt.log_path)},
        "log path short": {"log_path": receipt.log_path[1:]},
        "log path long": {"log_path": (*receipt.log_path, bytes(32))},
        "another root": {"checkpoint": signed(receipt.checkpoint, root=bytes(32))},
        "another log": {"checkpoint": signed(receipt.checkpoint, origin="shared-pod/0/1")},
        "note altered": {"checkpoint": receipt.checkpoint.replace(b"\n3\n", b"\n4\n")},
        "unsigned": {"checkpoint": receipt.checkpoint.rpartition(b"\xe2\x80\x94")[0]},
    }
    refreshes: dict[str, dict[str, Any]] = {
        "consistency altered": {"consistency": _altered(refresh.consistency)},
        "consistency short": {"consistency": refresh.consistency[:-1]},
        "consistency long": {"consistency": (*refresh.consistency, bytes(32))},
        "later path altered": {"log_path": _altered(refresh.log_path)},
        "later root": {"checkpoint": signed(refresh.checkpoint, root=bytes(32))},
        "later size": {"checkpoint": signed(refresh.checkpoint, size=8)},
    }
    replace = msgspec.structs.replace
    return {
        name: replace(whole, receipt=replace(receipt, **changes)) for name, changes in receipts.items()
    } | {
        name: replace(whole, refreshes=(replace(refresh, **changes),)) for name, changes in refreshes.items()
    }


def _altered(path: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (*path[:-1], bytes([path[-1][0] ^ 1]) + path[-1][1:])


def test_go_accepts_every_golden_receipt(program: Path, tmp_path: Path) -> None:
    """The largest, a function's, a witnessed one: the vectors are not only ours to read."""
    accepted = [vector for vector in vectors("receipts") if "error" not in vector]
    for number, vector in enumerate(accepted):
        receipt = decode_receipt(vector["receipt"])
        checkpoint: Checkpoint = read_checkpoint(receipt.checkpoint)
        (path,) = _write(tmp_path, {f"{number}": ReceiptFile(None, receipt)})
        (key,) = vector["log_keys"]
        (verdict,) = _check(program, _verifier_key(checkpoint.origin, bytes.fromhex(key)), [path])
        assert (verdict["error"], verdict["sizes"]) == ("", [receipt.batch]), vector["name"]
    assert len(accepted) == 9


NOT_IN_GO = {
    "accept-empty-to-eight.json",
    "accept-empty-to-empty.json",
    "refuse-hashes-joined-otherwise.json",
}
"""Go's package knows no empty tree, and has nowhere to put hashes of other lengths."""


@pytest.mark.parametrize("folder", ["inclusion", "consistency"])
def test_go_decides_every_vector_of_trees_as_we_do(program: Path, folder: str) -> None:
    """Made from the definition of RFC 6962, or published: both kinds, and what is broken in one place."""
    paths = [
        path for path in sorted((TESTDATA / "tree" / folder).glob("*.json")) if path.name not in NOT_IN_GO
    ]
    verdicts = _run(program, "vectors", *paths)
    accepted = {Path(verdict["file"]).name for verdict in verdicts if not verdict["error"]}
    assert accepted == {path.name for path in paths if path.name.startswith("accept-")}
    assert len(paths) > len(accepted) > 20
