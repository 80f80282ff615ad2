"""Vectors of invites and identity files. FORMAT.md, "Invite" and "Identity file"."""

from __future__ import annotations

import base64
from typing import Any

from tests.vectors import world
from tests.vectors.family import Family, flipped
from tests.vectors.policies import BAD_URLS, base64_of
from vault.encoding import MpMap, le32, mp, pae
from vault.errors import FormatTooNewError, MalformedError, VaultError, WrongKeyError
from vault.identity_file import format_identity

URL = "https://plants.example.org"
FACTS: MpMap = {"name": "field-team", "pod": "Street plants"}
FIELDS = [
    b"invite/v1",
    world.OWNER_KEY.raw,
    world.KEYS[1].reveal(),
    le32(1),
    pae(world.LOG_KEY.public),
    pae(),
    world.IDENTITY.signer,
    mp(FACTS),
]


def _payload(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _link(raw: bytes, url: str = URL) -> str:
    return f"{url}/#sp1.{_payload(raw)}"


def _with(place: int, field: bytes) -> str:
    return _link(pae(*FIELDS[:place], field, *FIELDS[place + 1 :]))


def _accept(
    family: Family, name: str, why: str, link: str, *, reads_as: str | None = None, **changes: Any
) -> None:
    invite = {
        "url": URL,
        "owner_key": world.OWNER_KEY.hex,
        "database_key": world.KEYS[1].reveal().hex(),
        "slot": 1,
        "log_keys": [world.LOG_KEY.public.hex()],
        "function_keys": [],
        "signer": world.IDENTITY.signer.hex(),
        "name": FACTS["name"],
        "pod_name": FACTS["pod"],
        "expires": None,
        "types": None,
    }
    family.good(name, why, link=link, link_again=reads_as or link, invite=invite | changes)


def _good_invites(family: Family) -> None:
    whole = _link(pae(*FIELDS))
    _accept(family, "invite", "without limits", whole)
    _accept(
        family,
        "limits",
        "expires and types",
        _with(7, mp({**FACTS, "expires": 1893456000000, "types": ["Note", "Photo"]})),
        expires=1893456000000,
        types=["Note", "Photo"],
    )
    logs = [world.LOG_KEY.public, world.OTHER_LOG_KEY.public]
    _accept(family, "two logs", "every vault key", _with(4, pae(*logs)), log_keys=[key.hex() for key in logs])
    _accept(
        family,
        "a function",
        "its key signs headers only",
        _with(5, pae(world.FUNCTION_KEY.public)),
        function_keys=[world.FUNCTION_KEY.public.hex()],
    )
    _accept(family, "no logs", "receipts cannot be checked", _with(4, pae()), log_keys=[])
    _accept(family, "slot 2^32-1", "LE32", _with(3, le32(2**32 - 1)), slot=2**32 - 1)
    _accept(
        family,
        "port and path",
        "any URL",
        _link(pae(*FIELDS), "http://localhost:3030/pods"),
        url="http://localhost:3030/pods",
    )
    _accept(family, "as a file", "white space around it is ignored", f" {whole}\n", reads_as=whole)
    _accept(
        family, "slashes at the end of the URL", "are dropped", whole.replace("/#", "//#"), reads_as=whole
    )
    _accept(family, "unknown fact", "ignored", _with(7, mp({**FACTS, "zebra": 1})), reads_as=whole)


def _bad_payloads(family: Family) -> None:
    whole, label = _link(pae(*FIELDS)), "later format"
    family.bad("invite/v2", "a later program wrote it", FormatTooNewError, label, link=_with(0, b"invite/v2"))
    family.bad(
        "invite/v2, other fields", "likewise", FormatTooNewError, label, link=_link(pae(b"invite/v2", b""))
    )
    family.bad("sp2", "a later mark", FormatTooNewError, label, link=whole.replace("#sp1.", "#sp2."))
    for name, why, link, says in [
        ("another label", "each label in one place", _with(0, b"receipt/v1"), "its label"),
        ("a field missing", "seven follow the label", _link(pae(*FIELDS[:-1])), "7 fields"),
        ("a field more", "seven follow the label", _link(pae(*FIELDS, b"")), "7 fields"),
        ("trailing byte", "nothing follows", _link(pae(*FIELDS) + b"\0"), "follow the last field"),
        ("owner key short", "32 bytes", _with(1, bytes(31)), "32 bytes"),
        ("database key long", "32 bytes", _with(2, bytes(33)), "32 bytes"),
        ("slot of 8 bytes", "LE32", _with(3, bytes(8)), "4-byte"),
        ("log key short", "32 bytes", _with(4, pae(bytes(31))), "a log key"),
        ("log keys no list", "a pae", _with(4, b""), "before its count"),
        ("function key long", "32 bytes", _with(5, pae(bytes(33))), "a log key"),
        ("signer short", "32 bytes", _with(6, bytes(31)), "a signer"),
        ("facts no map", "MP", _with(7, b"\xc0"), "MessagePack"),
        ("facts unsorted", "MP", _with(7, b"\x82\xa3pod\xa1x\xa4name\xa1x"), "canonical form"),
        ("no name", "required", _with(7, mp({"pod": "x"})), "name must be"),
        ("name a path", "it becomes a file's name", _with(7, mp({**FACTS, "name": "../x"})), "invite name"),
        ("empty name", "1 to 64 characters", _with(7, mp({**FACTS, "name": ""})), "invite name"),
        ("no pod", "required", _with(7, mp({"name": "x"})), "pod must be"),
        ("pod of 201", "at most 200", _with(7, mp({**FACTS, "pod": "x" * 201})), "pod must be"),
        ("expires 0", "from 1", _with(7, mp({**FACTS, "expires": 0})), "expires"),
        ("expires a float", "an integer", _with(7, mp({**FACTS, "expires": 1.5})), "expires"),
        ("expires 2^63", "63 bits", _with(7, mp({**FACTS, "expires": 2**63})), "expires"),
        ("types unsorted", "as the caveat", _with(7, mp({**FACTS, "types": ["b", "a"]})), "types"),
        ("no types in the list", "as the caveat", _with(7, mp({**FACTS, "types": []})), "types"),
    ]:
        family.bad(name, why, MalformedError, says, link=link)


def _bad_links(family: Family) -> None:
    whole = _link(pae(*FIELDS))
    for name, why, link, says in [
        ("empty", "a link", "", "#sp1."),
        ("no mark", "#sp1.", whole.replace("#sp1.", "#"), "#sp1."),
        ("a query", "a fragment, which is never sent", whole.replace("#sp1.", "?sp1."), "#sp1."),
        ("nothing after the mark", "a payload", f"{URL}/#sp1.", "letters that no invite holds"),
        ("standard alphabet", "base64url", whole[:-3] + "+/+", "letters that no invite holds"),
        ("padded", "unpadded", whole + "=", "letters that no invite holds"),
        ("line break inside", "one line", whole[:80] + "\n" + whole[80:], "letters that no invite holds"),
        ("a letter lost", "a length base64 cannot have", whole[:-1], "last letter"),
        ("cut", "exact lengths", _link(pae(*FIELDS)[:-3]), "ends inside a field"),
        ("16,385 characters", "at most 16,384", whole + "A" * (16_385 - len(whole)), "at most 16384"),
    ]:
        family.bad(name, why, MalformedError, says, link=link)
    for url in BAD_URLS[:-1]:
        link = _link(pae(*FIELDS), url)
        if "#f" not in url and not url.endswith("\n"):
            family.bad(
                f"url {url!r}"[:60], "http or https, host, port, path", MalformedError, "url: ", link=link
            )


def build_invites() -> dict[str, Any]:
    """invites/."""
    family = Family()
    _good_invites(family)
    _bad_payloads(family)
    _bad_links(family)
    return {
        "about": "Links, with what they say; link_again: as they are written anew, without what is unknown. The keys in "
        "them are public knowledge.",
        "vectors": family.vectors,
    }


def _identity(family: Family) -> None:
    digits = world.IDENTITY.reveal().hex()
    for name, content in [
        ("clear", digits + "\n"),
        ("without newline", digits),
        ("capitals", digits.upper() + "\n"),
    ]:
        family.good(name, "64 digits", content=content, passphrase=None, identity=digits)
    for name, passphrase, typed in [
        ("box", "correct horse", "correct horse"),
        ("empty passphrase", "", ""),
        ("passphrase in NFC", "h\u00e9t \U0001f33b", "he\u0301t \U0001f33b"),
    ]:
        boxed = format_identity(world.IDENTITY, passphrase, world.entropy(f"identity {name}"), memory_kib=64)
        family.good(name, "Argon2id", content=boxed.decode(), passphrase=typed, identity=digits)


def _bad_identities(family: Family) -> None:
    digits = world.IDENTITY.reveal().hex()
    box = format_identity(
        world.IDENTITY, "correct horse", world.entropy("identity box"), memory_kib=64
    ).decode()
    head, salt, sealed = box.rstrip("\n").rsplit(" ", 2)
    raw = base64.b64decode(sealed)

    def boxed(salt: str = salt, sealed: str = sealed, head: str = head) -> str:
        return f"{head} {salt} {sealed}\n"

    def bad(
        name: str,
        why: str,
        error: type[VaultError],
        says: str,
        content: str,
        passphrase: str = "correct horse",  # noqa: S107 - public
    ) -> None:
        family.bad(name, why, error, says, content=content, passphrase=passphrase)

    bad("another passphrase", "it does not open", WrongKeyError, "this passphrase", box, "correct horse ")
    for name, content in [
        ("nonce altered", boxed(sealed=base64_of(flipped(raw, 0)))),
        ("seed altered", boxed(sealed=base64_of(flipped(raw, 12)))),
        ("tag altered", boxed(sealed=base64_of(flipped(raw, -1)))),
        ("salt altered", boxed(salt=base64_of(flipped(base64.b64decode(salt), 0)))),
        ("memory altered", boxed(head=head.replace("m=64", "m=65"))),
        ("passes altered", boxed(head=head.replace("t=3", "t=2"))),
        ("lanes altered", boxed(head=head.replace("p=4", "p=3"))),
    ]:
        bad(name, "the line is associated data", WrongKeyError, "this passphrase", content)
    bad("version 2", "a later program wrote it", FormatTooNewError, "later format", box.replace("/v1", "/v2"))
    for name, costs in [
        ("memory below 8 lanes", "m=31,t=3,p=4"),
        ("memory beyond 2 GiB", "m=2097153,t=3,p=4"),
        ("passes beyond 16", "m=64,t=17,p=4"),
        ("lanes beyond 16", "m=640,t=3,p=17"),
    ]:
        bad(
            name,
            "refused before any work",
            MalformedError,
            "costs",
            boxed(head=head.replace("m=64,t=3,p=4", costs)),
        )
    hexadecimal, text = "64 hexadecimal digits", "base64"
    for name, why, content, says in [
        ("empty", "64 digits or a box", "", hexadecimal),
        ("63 digits", "64 digits or a box", digits[:-1] + "\n", hexadecimal),
        ("two lines", "one line", digits + "\n\n", "one line"),
        ("carriage return", "a newline alone", digits + "\r\n", "one line"),
        ("space before", "nothing before", " " + digits + "\n", hexadecimal),
        ("another KDF", "argon2id", box.replace("argon2id", "argon2i"), hexadecimal),
        ("passes 0", "from 1", boxed(head=head.replace("t=3", "t=0")), hexadecimal),
        ("costs with a leading zero", "decimal", boxed(head=head.replace("t=3", "t=03")), hexadecimal),
        ("salt of 15 bytes", "16", boxed(salt=base64_of(bytes(15))), "another length"),
        ("box of 59 bytes", "60", boxed(sealed=base64_of(raw[:-1])), "another length"),
        ("salt unpadded", "base64", boxed(salt=salt.rstrip("=")), text),
        ("salt padding bits", "canonical", boxed(salt=salt[:-3] + "B=="), text),
        ("no box", "a salt and a box", f"{head} {salt}\n", hexadecimal),
        ("version 0", "from 1", box.replace("/v1", "/v0"), hexadecimal),
    ]:
        bad(name, why, MalformedError, says, content)


def build_identities() -> dict[str, Any]:
    """identities/."""
    family = Family()
    _identity(family)
    _bad_identities(family)
    return {
        "about": "Identity files as text, and the passphrase that is typed (null: none is asked for). 64 KiB of memory keep "
        "the vectors quick; real files have 256 MiB.",
        "vectors": family.vectors,
    }
