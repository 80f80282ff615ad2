"""Vectors of checkpoints that are kept apart from a server, and of what a vault holds of them. FORMAT.md, "Witnesses"."""

from __future__ import annotations

import base64
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, Vector
from vault.errors import DamagedError, ForeignPodError, MalformedError, RollbackError
from vault.keys import LogKey, PodId
from vault.notes import Checkpoint, origin_of, sign_checkpoint
from vault.tree import leaf_hash, root_of

_LOG = [b"%d" % number for number in range(1, 8)]
"""What the log of a vault has as leaves."""
_FORK = [b"another", *_LOG[1:]]


def _root(log: list[bytes], size: int) -> bytes:
    return root_of([leaf_hash(leaf) for leaf in log[:size]])


def _note(
    size: int = 5,
    *,
    epoch: int = 1,
    pod_id: PodId = world.POD_ID,
    key: LogKey = world.LOG_KEY,
    log: list[bytes] = _LOG,
) -> str:
    return sign_checkpoint(Checkpoint(origin_of(pod_id, epoch), size, _root(log, size)), key).decode()


def _files() -> list[Vector]:
    family, whole = Family(), _note()

    def fields(content: str) -> dict[str, Any]:
        keys = [world.LOG_KEY.public.hex(), world.OTHER_LOG_KEY.public.hex()]
        return {"content": content, "pod_id": world.POD_ID.hex(), "log_keys": keys}

    other = base64.b64encode(world.draw("a witness", 68)).decode()
    for name, why, content, epoch in [
        ("as it was exported", "the note's bytes", whole, 1),
        ("lines that end with CR LF", "CR LF is LF", whole.replace("\n", "\r\n"), 1),
        ("no newline at its end", "a newline ends it", whole[:-1], 1),
        ("white space at its end", "it is cut", whole + " \n\t\r\n", 1),
        ("a later epoch", "any epoch", _note(epoch=9), 9),
        ("cosigned", "other signatures are ignored", whole + f"— witness.example {other}\n", 1),
        ("of the other log key", "one of the keys", _note(key=world.OTHER_LOG_KEY), 1),
    ]:
        found = {"epoch": epoch, "size": 5, "root": _root(_LOG, 5).hex()}
        family.good(name, why, **fields(content), witness=found)
    lines = whole.split("\n")
    for name, why, error, content in [
        ("empty", "a checkpoint", MalformedError, ""),
        ("white space alone", "a checkpoint", MalformedError, " \n"),
        ("cut in its signature", "base64", MalformedError, whole[:-8]),
        ("cut by whole groups of base64", "the signature does not hold", DamagedError, whole[:-9]),
        ("its signature missing", "a signed note", MalformedError, "\n".join(lines[:3]) + "\n"),
        ("white space before it", "it is part of the origin", MalformedError, " " + whole),
        ("a byte order mark before it", "it is part of the origin", MalformedError, "\ufeff" + whole),
        ("empty lines before it", "three lines", MalformedError, "\n" + whole),
        ("CR alone", "a control character", MalformedError, whole.replace("\n", "\r")),
        ("an extension line", "exactly three lines", MalformedError, "\n".join([*lines[:3], "more", *lines[3:]])),
        ("two of them", "exactly three lines", MalformedError, whole + "\n" + whole),
        ("an origin of no pod", "an origin's form", MalformedError, whole.replace("shared-pod/", "other-log/")),
        ("epoch 0", "from 1", MalformedError, _note(epoch=0)),
        ("another pod's", "the pod's half id", ForeignPodError, _note(pod_id=world.OTHER_POD_ID)),
        ("another pod's, of another key", "the pod before the signature", ForeignPodError, _note(pod_id=world.OTHER_POD_ID, key=world.FUNCTION_KEY)),
        ("signed by a function", "a vault key", DamagedError, _note(key=world.FUNCTION_KEY)),
        ("another size", "it is signed", DamagedError, whole.replace("\n5\n", "\n6\n")),
        ("another epoch", "it is signed", DamagedError, whole.replace("/1\n", "/2\n").replace("/1 ", "/2 ")),
        ("another epoch above its signature", "the key is named after it", DamagedError, whole.replace("/1\n", "/2\n")),
        ("another root", "it is signed", DamagedError, whole.replace(lines[2], base64.b64encode(_root(_FORK, 5)).decode())),
        ("a letter more at its end", "base64", MalformedError, whole[:-1] + "A"),
        ("a letter beyond ASCII in its root", "base64", MalformedError, whole.replace(lines[2], lines[2][:-1] + "é")),
    ]:  # fmt: skip
        vector = family.bad(name, why, error, "", **fields(content))
        del vector["says"]
    return family.vectors


def _held() -> list[Vector]:
    family = Family()

    def fields(witness: tuple[int, int, list[bytes]], ends: dict[int, int]) -> dict[str, Any]:
        epoch, size, log = witness
        return {
            "epoch": max(ends, default=0) + 1,
            "leaves": [leaf.hex() for leaf in _LOG],
            "ends": {str(at): _note(end, epoch=at) for at, end in ends.items()},
            "witness": {"epoch": epoch, "size": size, "root": _root(log, size).hex()},
        }

    first: dict[int, int] = {}
    for name, why, witness, ends in [
        ("the same", "all seven batches", (1, 7, _LOG), first),
        ("an earlier one", "the log extends it", (1, 3, _LOG), first),
        ("an empty log's", "so does every log", (1, 0, _LOG), first),
        ("of the epoch before", "a repair kept so many", (1, 4, _LOG), {1: 4}),
        ("of two epochs before", "each repair kept so many", (1, 2, _LOG), {1: 5, 2: 2}),
        ("of the present epoch after two", "all seven batches", (3, 7, _LOG), {1: 5, 2: 2}),
    ]:
        family.good(name, why, **fields(witness, ends))
    for name, why, witness, ends in [
        ("one batch more", "the vault lacks it", (1, 8, [*_LOG, b"8"]), first),
        ("many more", "the vault lacks them", (1, 2**40, _LOG), first),
        ("a fork", "another root at this size", (1, 7, _FORK), first),
        ("a fork of the first batch", "another root at this size", (1, 1, _FORK), first),
        ("an earlier one's root at another size", "another root at this size", (1, 4, _LOG[1:]), first),
        ("an empty log of another root", "the root of an empty tree", (1, 0, _FORK), first),
        ("a later epoch", "a vault of before a repair", (2, 3, _LOG), first),
        ("a later epoch after a repair", "a vault of before a repair", (3, 1, _LOG), {1: 4}),
        ("beyond what a repair kept", "the repair left it out", (1, 5, _LOG), {1: 4}),
        ("beyond what a repair kept, within the vault", "another batch stands there", (1, 7, _LOG), {1: 4}),
        ("a fork of the epoch before", "another root at this size", (1, 4, _FORK), {1: 4}),
        ("beyond what the second repair kept", "the least of both", (1, 3, _LOG), {1: 5, 2: 2}),
        ("of an epoch that kept nothing", "0 batches", (2, 1, _LOG), {1: 4, 2: 0}),
        ("of the epoch before one that kept nothing", "the least of both", (1, 1, _LOG), {1: 4, 2: 0}),
        ("beyond the vault and its ends", "the vault has seven", (1, 8, [*_LOG, b"8"]), {1: 8}),
        ("one more in the present epoch", "the vault lacks it", (2, 8, [*_LOG, b"8"]), {1: 4}),
        ("a fork in the present epoch", "another root at this size", (2, 7, _FORK), {1: 4}),
        ("a fork, of two epochs before", "another root at this size", (1, 2, _FORK), {1: 5, 2: 2}),
    ]:
        vector = family.bad(name, why, RollbackError, "", **fields(witness, ends))
        if name == "an empty log of another root":
            vector["witness"]["root"] = _root(_FORK, 1).hex()
        del vector["says"]
    return family.vectors


def build() -> dict[str, Any]:
    """witnesses/."""
    return {
        "about": "files: content of a file with a checkpoint, read for the pod with pod_id and the vault log keys log_keys: "
        "witness. held: whether a vault in epoch, whose log has these leaves (data) and whose meta keeps these ends of earlier "
        "epochs, holds the witness, which was accepted. Bytes are hexadecimal.",
        "files": _files(),
        "held": _held(),
    }
