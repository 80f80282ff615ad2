"""Vectors of whole vaults: files of a pod's folder, read, checked or opened to append. FORMAT.md, "Reading"."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family
from tests.vectors.faults import APPEND, CHECK, READ, Case, erased, gapped, recounted, repaired
from tests.vectors.founding import A_BATCH, BATCHES, MS, NAMES, make_fault, make_vaults
from tests.vectors.policies import POD_TOML, members, packed, signed
from vault import errors
from vault.errors import (
    DamagedError,
    EmptyFileError,
    MalformedError,
    MissingError,
    PlaintextError,
    PolicyError,
    RollbackError,
    TornError,
    TruncatedError,
    WrongKeyError,
)
from vault.keys import LogKey
from vault.migrations import STEPS
from vault.notes import Checkpoint, origin_of, sign_checkpoint

FOLDER = Path(errors.__file__).parent / "testdata" / "vaults" / "files"
PAGE = 4096
FILES: dict[str, str | None] = {
    "pod.toml": "pod.toml",
    "slots.json": "slots.json",
    "log.key": "log.key",
    "vault.db": "three.db",
    "log.head": "head-3",
}
Edit = dict[str, Any]


def _expected(count: int) -> list[dict[str, Any]]:
    """What the items of the first ``count`` batches read as."""
    expected: list[dict[str, Any]] = []
    for number, rows in enumerate(BATCHES[:count], start=1):
        expected += [
            {
                "seq": len(expected) + index,
                "batch": number,
                "ms": MS + A_BATCH * number,
                "slot": slot,
                "slot_name": NAMES[slot],
                "members": dict(sorted(members.items())),
            }
            for index, (slot, members) in enumerate(rows, start=1)
        ]
    return expected


def _files(**changes: str | None) -> dict[str, str]:
    named = FILES | {name.replace("__", "-").replace("_", "."): source for name, source in changes.items()}
    return {name: source for name, source in named.items() if source is not None}


def _good(family: Family) -> None:
    def good(name: str, why: str, batches: int, *, is_warned: bool = False, **files: str | None) -> None:
        family.good(
            name,
            why,
            at="read",
            files=_files(**files),
            edits=[],
            items=_expected(batches),
            is_warned=is_warned,
        )

    good("three batches", "closed: no write-ahead log", 3)
    good("two batches", "an earlier state", 2, vault_db="two.db", log_head="head-2")
    good(
        "the third in the log", "a server that did not close", 3, vault_db="two.db", vault_db__wal="third.wal"
    )
    good("head of an earlier batch", "the log extends it", 3, log_head="head-1")
    good("no head", "a warning", 3, log_head=None, is_warned=True)
    good("no batch yet", "as it was founded", 0, vault_db="empty.db", log_head=None)
    vector = family.good(
        "one item erased",
        "with a statement that holds",
        at="read",
        files=_files(vault_db__wal=_wal("one item erased")),
        edits=[],
        is_warned=False,
    )
    vector["items"] = [item for item in _expected(3) if item["seq"] != 2]
    good(
        "a second epoch",
        "after a repair; log.head is of the first",
        3,
        is_warned=True,
        vault_db__wal=_wal("a second epoch"),
    )
    gap = "a second epoch with a gap"
    good(gap, "a repair left five items out", 3, is_warned=True, vault_db__wal=_wal(gap))
    for item in family.vectors[-1]["items"]:
        item["seq"] += 5 * (item["batch"] == 3)
    anew = "a second epoch that counted anew"
    good(anew, "a repair leaves out what is erased", 3, is_warned=True, vault_db__wal=_wal(anew))
    counted = family.vectors[-1]
    counted["items"] = [item for item in counted["items"] if item["seq"] != 2]


def _wal(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".wal"


def _faults(family: Family, at: str, cases: list[Case]) -> None:
    for case in cases:
        files = _files(vault_db__wal=_wal(case.name))
        if case.error:
            family.bad(case.name, case.why, case.error, case.says, at=at, files=files, edits=[])
        else:
            family.good(case.name, case.why, at=at, files=files, edits=[], finds=case.says, about=case.about)


def _to_append(case: Case) -> Case:
    """A log that a server left is looked at before what it holds: a batch of it that is not whole is not its own."""
    if case.name in {"newest header altered", "newest item missing"}:
        return case._replace(error=TornError, says="of different times")
    return case


def _head(size: int, *, epoch: int = 1, key: LogKey = world.LOG_KEY) -> Edit:
    note = sign_checkpoint(Checkpoint(origin_of(world.POD_ID, epoch), size, world.draw("a root")), key)
    return {"file": "log.head", "text": note.decode()}


def _files_alone(family: Family) -> None:
    def bad(
        name: str, why: str, error: type[errors.VaultError], says: str, *edits: Edit, **files: str | None
    ) -> None:
        family.bad(name, why, error, says, at="read", files=_files(**files), edits=list(edits))

    def cut(size: int) -> Edit:
        return {"file": "vault.db", "truncate": size}

    def flip(at: int) -> Edit:
        return {"file": "vault.db", "xor": [at, "01"]}

    bad("no vault", "it is missing", MissingError, "does not exist", vault_db=None)
    bad("no pod.toml", "it is missing", MissingError, "pod.toml is not in", pod_toml=None)
    bad("no slots.json", "it is missing", MissingError, "slots.json is not in", slots_json=None)
    bad("empty file", "it would open under any key", EmptyFileError, "is empty", cut(0))
    bad(
        "plaintext",
        "an unencrypted database",
        PlaintextError,
        "unencrypted",
        {"file": "vault.db", "text": "SQLite format 3\0" + "\0" * 4080},
    )
    bad("half a page", "ends inside a page", TruncatedError, "ends inside a page", cut(PAGE // 2))
    bad("cut inside a page", "ends inside a page", TruncatedError, "ends inside a page", cut(9 * PAGE + 100))
    for pages in (1, 10, 19):
        name, says = f"cut after page {pages}", f"ends after page {pages} of 20"
        bad(name, "page 1 says how many there are", TruncatedError, says, cut(pages * PAGE))
    bad(
        "one byte more",
        "ends inside a page",
        TruncatedError,
        "ends inside a page",
        {"file": "vault.db", "append": "00"},
    )
    bad("salt altered", "page 1's HMAC", WrongKeyError, "wrong key or damaged first page", flip(3))
    bad("first page altered", "page 1's HMAC", WrongKeyError, "wrong key or damaged first page", flip(100))
    bad(
        "HMAC of the first page altered",
        "page 1's HMAC",
        WrongKeyError,
        "wrong key or damaged first page",
        flip(PAGE - 1),
    )
    bad(
        "no database at all",
        "page 1's HMAC",
        WrongKeyError,
        "wrong key",
        {"file": "vault.db", "text": "x" * PAGE},
    )
    foreign = POD_TOML.replace(world.OWNER_KEY.hex, world.OTHER_OWNER_KEY.hex)
    bad(
        "another pod's owner key",
        "the pod id is signed",
        PolicyError,
        "signature does not hold",
        {"file": "pod.toml", "text": foreign},
    )
    bad(
        "a stranger's policy beside it",
        "the identity never endorsed its signer",
        PolicyError,
        "never endorsed",
        {"file": "slots.json", "text": _signed_by_other()},
    )
    bad(
        "slots.json cut",
        "its frame",
        MalformedError,
        "the signed frame",
        {"file": "slots.json", "truncate": 500},
    )
    torn, old = "without its write-ahead log", "an older vault was put here"
    bad("torn", "the third batch was in the log that is missing", TornError, torn, vault_db="two.db")
    bad(
        "torn, the log emptied",
        "an empty log holds nothing",
        TornError,
        torn,
        {"file": "vault.db-wal", "text": ""},
        vault_db="two.db",
    )
    bad(
        "rolled back",
        "head has seen four batches",
        RollbackError,
        old,
        _head(4),
        vault_db="two.db",
        vault_db__wal="third.wal",
    )
    bad(
        "a bit of the log flipped",
        "SQLite drops the commit in silence",
        RollbackError,
        old,
        {"file": "vault.db-wal", "xor": [5000, "01"]},
        vault_db="two.db",
        vault_db__wal="third.wal",
    )
    bad(
        "forked",
        "another log of three batches",
        RollbackError,
        "not the one log.head has seen at 3",
        _head(3),
    )
    bad(
        "forked earlier",
        "another log of one batch",
        RollbackError,
        "not the one log.head has seen at 1",
        _head(1),
    )
    bad("an epoch back", "head has seen epoch 2", RollbackError, "has seen epoch 2", _head(1, epoch=2))


def _odd_heads(family: Family) -> None:
    """A head that says nothing is a warning, or a forger could stop the server with one."""
    note = _head(4, key=world.OTHER_LOG_KEY)["text"]
    for name, edit in [
        ("head of another key", {"file": "log.head", "text": note}),
        ("head of another key and epoch", _head(4, epoch=9, key=world.OTHER_LOG_KEY)),
        ("head cut", {"file": "log.head", "truncate": 40}),
        ("head of no note", {"file": "log.head", "text": "x" * 70_000}),
    ]:
        family.good(
            name,
            "as if there were none",
            at="read",
            files=_files(),
            edits=[edit],
            items=_expected(3),
            is_warned=True,
        )


def _pages(family: Family) -> None:
    """A page that opening needs is refused at once, another when it is read; SQLCipher's check sees each."""

    def flip(page: int) -> list[Edit]:
        return [{"file": "vault.db", "xor": [PAGE * (page - 1) + 1000, "01"]}]

    refused = "a page of the vault fails its checks"
    for page in (2, 14, 20):
        why = "each page has an HMAC"
        family.bad(
            f"page {page} altered", why, DamagedError, refused, at="read", files=_files(), edits=flip(page)
        )
    swap = [{"file": "vault.db", "swap": [8 * PAGE, 9 * PAGE, PAGE]}]
    why = "the HMAC covers the page's number"
    family.bad("pages swapped", why, DamagedError, refused, at="read", files=_files(), edits=swap)

    def put_back(page: int) -> list[Edit]:
        return [{"file": "vault.db", "take": ["two.db", PAGE * (page - 1), PAGE]}]

    why = "an older image passes its HMAC"
    for page, says in ((1, refused), (6, "the newest batch lacks items"), (14, "the log lacks node")):
        name = f"page {page} put back"
        family.bad(name, why, DamagedError, says, at="read", files=_files(), edits=put_back(page))
    for page, finds, about in (
        (5, "slot 1: its counters", "slot 1"),
        (7, "missing from index sqlite_autoindex_batch_1", "database"),
        (8, "missing from index sqlite_autoindex_batch_2", "database"),
        (13, "missing from index sqlite_autoindex_item_1", "database"),
    ):
        family.good(
            f"page {page} put back",
            why,
            at="check",
            files=_files(),
            edits=put_back(page),
            finds=finds,
            about=about,
        )
    for page in (4, 5, 11):
        finds = f"HMAC verification failed for page {page}"
        family.good(
            f"page {page} altered",
            "a check reads every page",
            at="check",
            files=_files(),
            edits=flip(page),
            finds=finds,
            about=f"page {page}",
        )


def _opening(family: Family) -> None:
    def bad(
        name: str, why: str, error: type[errors.VaultError], says: str, *edits: Edit, **files: str | None
    ) -> None:
        family.bad(name, why, error, says, at="append", files=_files(**files), edits=list(edits))

    other_key = world.OTHER_LOG_KEY.reveal().hex()
    bad(
        "another log key",
        "a vault key of the policy",
        PolicyError,
        "log.key is not one of",
        {"file": "log.key", "text": other_key + "\n"},
    )
    bad(
        "log key short",
        "64 digits",
        MalformedError,
        "64 hexadecimal digits",
        {"file": "log.key", "text": other_key[:-1]},
    )
    bad("no log key", "this folder is a snapshot", MissingError, "log.key is not in", log_key=None)
    bad(
        "pages of neither file nor log",
        "every page is in one of them",
        TornError,
        "of different times",
        {"file": "vault.db", "truncate": 10 * PAGE},
        vault_db="two.db",
        vault_db__wal="third.wal",
    )
    older = signed(packed(members(revision=2)))
    bad(
        "an older policy",
        "revisions only grow",
        PolicyError,
        "was accepted already",
        {"file": "slots.json", "text": older},
    )
    bad("torn, to append", "likewise", TornError, "without its write-ahead log", vault_db="two.db")


def _wrong_identity(family: Family) -> None:
    family.bad(
        "another identity",
        "not a recipient, nor the signer",
        PolicyError,
        "never endorsed",
        at="read",
        files=_files(),
        edits=[],
        identity=world.OTHER_IDENTITY.reveal().hex(),
    )
    family.bad(
        "not sealed to its own signer",
        "the signer is no recipient",
        WrongKeyError,
        "not sealed to this identity",
        at="read",
        files=_files(),
        edits=[{"file": "slots.json", "text": _signed_by_other()}],
        identity=world.OTHER_IDENTITY.reveal().hex(),
    )


def _signed_by_other() -> str:
    return signed(packed(members(signers=[{"key": world.OTHER_IDENTITY.signer.hex()}])), world.OTHER_IDENTITY)


def make_files() -> None:
    """Make the files that are missing; see ``tests.vectors.founding``."""
    FOLDER.mkdir(exist_ok=True)
    if not (FOLDER / "three.db").exists():
        make_vaults(FOLDER)
    sound = [
        Case("one item erased", "", erased(world.IDENTITY), None, ""),
        Case("a second epoch", "", repaired(world.LOG_KEY), None, ""),
        Case("a second epoch with a gap", "", gapped, None, ""),
        Case("a second epoch that counted anew", "", recounted, None, ""),
    ]
    for case in [*READ, *CHECK, *APPEND, *sound]:
        if not (FOLDER / _wal(case.name)).exists():
            make_fault(FOLDER / "three.db", FOLDER / _wal(case.name), case.fault)


def build() -> dict[str, Any]:
    """vaults/."""
    family = Family()
    _good(family)
    _odd_heads(family)
    _files_alone(family)
    _wrong_identity(family)
    _faults(family, "read", READ)
    _pages(family)
    _faults(family, "check", CHECK)
    _opening(family)
    _faults(family, "append", [*APPEND, *(_to_append(case) for case in READ)])
    return {
        "about": "files: what lies in a pod's folder, by the name of a file in vaults/files/. edits, in order: truncate to a size, "
        "xor bytes from an offset on, append bytes, swap two ranges of a length, take a range from a file in vaults/files/, or replace the file by a text. read: the "
        "folder is opened for reading with the identity and gives items; check: it opens and a check finds something; "
        "append: it is opened to append with the file key. A negative vector names the kind of error, or what a check finds and what that is about (database, log, items, erasures; page, policy, batch, item or slot and its number; slots together); "
        "is_warned: something is odd about log.head.",
        "identity": world.IDENTITY.reveal().hex(),
        "file_key": world.FILE_KEY.reveal().hex(),
        **{
            at: [vector for vector in family.vectors if vector["at"] == at]
            for at in ("read", "check", "append")
        },
    }


def build_schema() -> dict[str, Any]:
    """schema/."""
    connection = sqlite3.connect(":memory:")
    for statement in (statement for step in STEPS for statement in step.statements):
        connection.execute(statement)
    columns = ("type", "name", "table", "sql")
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    rows = [dict(zip(columns, row, strict=True)) for row in found]
    connection.close()
    family = Family()
    family.good("format 1", "the schema is the format's", rows=rows)
    return {
        "about": "rows: every row of sqlite_schema of a vault of format 1, by type and name.",
        "vectors": family.vectors,
    }
