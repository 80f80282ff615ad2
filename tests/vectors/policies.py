"""Vectors of pod.toml and slots.json, alone, as a pair, and one after another. FORMAT.md, "Policy"."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.support.vectors import policy_facts
from tests.vectors import world
from tests.vectors.family import Family, flipped
from tests.vectors.material import MATERIAL
from tests.vectors.slots import LIMITS, rewrap_of, wrap_of
from vault.encoding import pae
from vault.errors import FormatTooNewError, MalformedError, PolicyError
from vault.keys import OwnerKey, PodId
from vault.opening import Identity
from vault.policies import parse_policy
from vault.sealing import file_key_info
from vault.slots import lookup_of

POD_TOML = f'format = 1\nowner_key = "{world.OWNER_KEY.hex}"\nname = "Street plants"\nurl = "https://plants.example.org"\n'
THIRD = Identity(world.draw("third identity"))


def base64_of(raw: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(raw).decode()


def slot_entry(number: int, caveats: Mapping[str, Any], *, name: str) -> dict[str, Any]:
    """An open slot of the main pod."""
    key = world.KEYS[number]
    return {
        "number": number,
        "lookup": lookup_of(key, world.POD_ID).hex(),
        "wrap": base64_of(wrap_of(number, key, dict(caveats))),
        "caveats": dict(caveats),
        "state": "active",
        "rewrap": base64_of(rewrap_of(number, key, name)),
    }


def tombstone(number: int, name: str) -> dict[str, Any]:
    """A revoked slot."""
    entry = slot_entry(number, {}, name=name) | {"state": "revoked"}
    del entry["wrap"]
    return entry


def members(**changes: Any) -> dict[str, Any]:
    """P of the main pod's first policy: one recipient, one signer, one log, no slot."""
    pod_id = OwnerKey(world.OWNER_KEY.raw).pod_id
    sealed = MATERIAL.sealed_to_each(
        "file key", [world.IDENTITY.recipient], world.FILE_KEY.reveal(), file_key_info(pod_id)
    )
    first = {
        "format": 1,
        "revision": 1,
        "pod_toml": hashlib.sha256(POD_TOML.encode()).hexdigest(),
        "recipients": [{"key": base64_of(world.IDENTITY.recipient.raw)}],
        "file_key": base64_of(sealed),
        "signers": [{"key": world.IDENTITY.signer.hex()}],
        "endorsements": [],
        "logs": [{"key": world.LOG_KEY.public.hex(), "kind": "vault"}],
        "slots": [],
    }
    return first | changes


def packed(policy: Mapping[str, Any]) -> bytes:
    """P as our own tools write it."""
    return json.dumps(policy, separators=(",", ":"), sort_keys=True).encode()


def signed(policy: bytes, signer: Identity = world.IDENTITY, pod_id: PodId = world.POD_ID) -> str:
    """slots.json around P."""
    signature = signer.sign(pae(b"policy/v1", pod_id, policy))
    return (
        f'{{"signature":"{signature.hex()}","signer":"{signer.signer.hex()}","policy":{policy.decode()}}}\n'
    )


def endorsement(by: Identity, key: bytes, pod_id: PodId = world.POD_ID) -> dict[str, str]:
    """``by``'s word for ``key``."""
    signature = by.sign(pae(b"signer/v1", pod_id, key))
    return {"key": key.hex(), "by": by.signer.hex(), "signature": base64_of(signature)}


def _accept(family: Family, name: str, why: str, slots_json: str, pod_toml: str = POD_TOML) -> None:
    policy = parse_policy(pod_toml.encode(), slots_json.encode())
    family.good(
        name,
        why,
        pod_toml=pod_toml,
        slots_json=slots_json,
        policy=policy_facts(policy),
    )


def _good_pairs(family: Family) -> None:
    _accept(family, "first policy", "as founding writes it", signed(packed(members())))
    slots = [slot_entry(1, LIMITS, name="field-team"), slot_entry(2, {}, name="hobby"), tombstone(3, "gone")]
    _accept(family, "slots", "open ones and a tombstone", signed(packed(members(revision=4, slots=slots))))
    strange = slot_entry(1, LIMITS, name="field-team") | {"caveats": {"colour": "red"}, "hat": 1}
    _accept(
        family,
        "unknown caveat",
        "closes its slot and no other",
        signed(packed(members(slots=[strange, slot_entry(2, {}, name="hobby")]))),
    )
    paused = slot_entry(1, LIMITS, name="field-team") | {"state": "paused", "wrap": None}
    _accept(family, "unknown state", "is not open; null is no wrap", signed(packed(members(slots=[paused]))))
    _accept(family, "unknown members", "are ignored", signed(packed(members(hats=[{"key": 5}], zebra=None))))
    spaced = json.dumps(members(), indent=2).encode()
    _accept(family, "another layout", "P's bytes as they stand", signed(spaced))
    logs = [
        {"key": world.LOG_KEY.public.hex(), "kind": "vault"},
        {"key": world.FUNCTION_KEY.public.hex(), "kind": "function"},
    ]
    _accept(family, "a function's log", "it signs no checkpoint", signed(packed(members(logs=logs))))


def _bad_frames(family: Family) -> None:
    whole = signed(packed(members()))
    for name, why, slots_json in [
        ("empty", "the frame", ""),
        ("no newline", "ends with one", whole[:-1]),
        ("two newlines", "ends with one", whole + "\n"),
        ("carriage return", "ends with a newline alone", whole[:-1] + "\r\n"),
        ("byte order mark", "nothing before", "\ufeff" + whole),
        ("space after a comma", "nothing between", whole.replace('","signer', '", "signer', 1)),
        ("signature in capitals", "lower-case", whole[:14] + whole[14:142].upper() + whole[142:]),
        ("signature cut", "128 digits", whole[:14] + whole[16:]),
        ("members in another order", "signature, signer, policy",
         '{"signer":' + whole.split('"signer":')[1].split(",", 1)[0] + "," + whole[1:].replace(
             ',"signer":' + whole.split('"signer":')[1].split(",", 1)[0], "", 1)),
    ]:  # fmt: skip
        family.bad(name, why, MalformedError, "the signed frame", pod_toml=POD_TOML, slots_json=slots_json)
    for name, why, policy in [
        ("P a list", "an object", b"[]"),
        ("P not JSON", "an object", b"{"),
        ("P with a comment", "JSON", b"{}//"),
        ("NaN", "no JSON", b'{"format":NaN}'),
        ("two values", "one object", b"{}{}"),
    ]:
        says = "NaN" if name == "NaN" else "not one JSON object"
        family.bad(name, why, MalformedError, says, pod_toml=POD_TOML, slots_json=signed(policy))
    twice = packed(members()).replace(b'"format":1', b'"format":1,"format":1', 1)
    family.bad(
        "member twice",
        "none twice",
        MalformedError,
        "appears twice",
        pod_toml=POD_TOML,
        slots_json=signed(twice),
    )
    deep = packed(members()).replace(b'"kind":"vault"', b'"kind":"function","kind":"vault"', 1)
    family.bad(
        "member twice inside",
        "in no object",
        MalformedError,
        "appears twice",
        pod_toml=POD_TOML,
        slots_json=signed(deep),
    )


def _bad_signatures(family: Family) -> None:
    whole = signed(packed(members()))
    says = "its signature does not hold"
    other = members(signers=[{"key": world.OTHER_IDENTITY.signer.hex()}])
    for name, why, slots_json in [
        ("signature altered", "one bit", whole[:14] + ("0" if whole[14] != "0" else "1") + whole[15:]),
        ("P altered", "one byte", whole.replace('"revision":1', '"revision":2')),
        ("another pod's", "the pod id is signed", signed(packed(members()), pod_id=world.OTHER_POD_ID)),
        ("signer replaced", "the signature is not theirs", whole.replace(world.IDENTITY.signer.hex(), world.OTHER_IDENTITY.signer.hex(), 1)),
        ("signed without label", "policy/v1", _signed_over(packed(members()), pae(world.POD_ID, packed(members())))),
        ("signed as an endorsement", "each label in one place", _signed_over(packed(members()), pae(b"signer/v1", world.POD_ID, packed(members())))),
    ]:  # fmt: skip
        family.bad(name, why, PolicyError, says, pod_toml=POD_TOML, slots_json=slots_json)
    family.bad(
        "signer not listed",
        "a signer of its own",
        PolicyError,
        "is not one of the signers",
        pod_toml=POD_TOML,
        slots_json=signed(packed(other)),
    )
    family.bad(
        "no signers",
        "a signer of its own",
        PolicyError,
        "is not one of the signers",
        pod_toml=POD_TOML,
        slots_json=signed(packed(members(signers=[]))),
    )
    family.bad(
        "pod.toml edited",
        "its hash is signed",
        PolicyError,
        "is not the one slots.json signs",
        pod_toml=POD_TOML + "# by hand\n",
        slots_json=whole,
    )
    foreign = POD_TOML.replace(world.OWNER_KEY.hex, world.OTHER_OWNER_KEY.hex)
    family.bad(
        "another owner key", "the pod id is signed", PolicyError, says, pod_toml=foreign, slots_json=whole
    )


def _signed_over(policy: bytes, message: bytes) -> str:
    signature = world.IDENTITY.sign(message)
    return signed(policy).replace(signed(policy)[14:142], signature.hex(), 1)


def _bad_members(family: Family) -> None:
    slot = slot_entry(1, LIMITS, name="field-team")
    entry = members()["recipients"][0]
    faults: list[tuple[str, str, dict[str, Any], str]] = [
        ("format 0", "1", {"format": 0}, "format 1 was expected"),
        ("format text", "an integer", {"format": "1"}, "format is missing"),
        ("format true", "an integer, not a boolean", {"format": True}, "format is missing"),
        ("revision 0", "from 1", {"revision": 0}, "revision must"),
        ("revision 2^63", "63 bits", {"revision": 2**63}, "revision must"),
        ("revision 1.0", "an integer", {"revision": 1.0}, "revision is missing"),
        ("pod_toml short", "64 digits", {"pod_toml": "00"}, "pod_toml must be"),
        (
            "pod_toml in capitals",
            "lower-case",
            {"pod_toml": members()["pod_toml"].upper()},
            "pod_toml must be",
        ),
        ("no recipients", "at least one", {"recipients": []}, "at least one recipient"),
        ("recipients an object", "a list", {"recipients": {}}, "recipients is missing"),
        ("recipient a text", "a list of objects", {"recipients": ["x"]}, "a list of objects"),
        ("recipient short", "1,216 bytes", {"recipients": [{"key": "AAAA"}]}, "1216 bytes"),
        ("recipient not base64", "base64", {"recipients": [{"key": "*"}]}, "base64"),
        ("file_key URL alphabet", "standard base64", {"file_key": "__8="}, "base64"),
        ("file_key unpadded", "padded", {"file_key": "AA"}, "base64"),
        ("file_key padding bits", "canonical", {"file_key": "AB=="}, "canonical"),
        ("signer short", "64 digits", {"signers": [{"key": "00"}]}, "key must be"),
        (
            "endorsement without by",
            "key, by, signature",
            {"endorsements": [{"key": "00" * 32, "signature": ""}]},
            "by is missing",
        ),
        (
            "log of another kind",
            "vault or function",
            {"logs": [{"key": "00" * 32, "kind": "x"}]},
            "kind must be",
        ),
        (
            "log of a list for its kind",
            "vault or function",
            {"logs": [{"key": "00" * 32, "kind": ["vault"]}]},
            "kind must be",
        ),
        ("slots missing", "required", {"slots": None}, "slots is missing"),
        ("slot number -1", "32 bits", {"slots": [slot | {"number": -1}]}, "32 bits"),
        ("slot number 2^32", "32 bits", {"slots": [slot | {"number": 2**32}]}, "32 bits"),
        ("slot number text", "an integer", {"slots": [slot | {"number": "1"}]}, "number is missing"),
        ("lookup short", "64 digits", {"slots": [slot | {"lookup": "00"}]}, "lookup must be"),
        ("wrap of 59 bytes", "60", {"slots": [slot | {"wrap": base64_of(bytes(59))}]}, "60 bytes"),
        ("wrap empty", "60 bytes", {"slots": [slot | {"wrap": ""}]}, "60 bytes"),
        ("caveats a list", "an object", {"slots": [slot | {"caveats": []}]}, "caveats is missing"),
        (
            "caveat of another shape",
            "see slots.json",
            {"slots": [slot | {"caveats": {"expires": "x"}}]},
            "expires",
        ),
        (
            "state missing",
            "required",
            {"slots": [{k: v for k, v in slot.items() if k != "state"}]},
            "state is missing",
        ),
        (
            "two slots of a number",
            "unique",
            {"slots": [slot, slot | {"lookup": "00" * 32}]},
            "share a number",
        ),
        (
            "two slots of a lookup",
            "unique",
            {"slots": [slot, slot | {"number": 2}]},
            "share a number or a lookup",
        ),
    ]
    for name, why, changes, says in faults:
        slots_json = signed(packed(members(**changes)))
        family.bad(name, why, MalformedError, says, pod_toml=POD_TOML, slots_json=slots_json)
    family.bad(
        "format 2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        pod_toml=POD_TOML,
        slots_json=signed(packed(members(format=2, recipients=[entry, 5]))),
    )


def _pod_toml() -> Family:
    family = Family()
    owner = f'owner_key = "{world.OWNER_KEY.hex}"\n'
    empty: dict[str, Any] = {
        "name": "",
        "url": "",
        "policy": "extend",
        "properties": {},
        "labels": {},
        "max_item_bytes": None,
    }
    family.good("smallest", "an owner key", pod_toml=owner, config=empty)
    family.good(
        "owner key in capitals",
        "any case",
        pod_toml=owner.upper().replace("OWNER_KEY", "owner_key"),
        config=empty,
    )
    full = (
        owner + 'format = 1\nname = "Plants"\nurl = "http://[::1]:8080/a/"\npolicy = "infer"\nhat = 1\n'
        '[limits]\nmax_item_bytes = 4096\n[properties.a]\ntype = "Text"\nlabel = "A (mm)"\n[properties.b]\ntype = "DateTime"\n'
    )
    config = {
        "name": "Plants",
        "url": "http://[::1]:8080/a",
        "policy": "infer",
        "properties": {"a": "Text", "b": "DateTime"},
        "labels": {"a": "A (mm)"},
        "max_item_bytes": 4096,
    }
    family.good("full", "every member, and one unknown", pod_toml=full, config=config)
    family.bad(
        "format 2",
        "a later program wrote it",
        FormatTooNewError,
        "later format",
        pod_toml="format = 2\n" + owner,
    )
    for name, why, text, says in [
        ("empty", "an owner key", "", "owner_key"),
        ("not TOML", "TOML 1.0", "owner_key:", "not a TOML file"),
        ("member twice", "TOML 1.0", owner + owner, "not a TOML file"),
        ("format 0", "1", "format = 0\n" + owner, "format 1"),
        ("format text", "an integer", 'format = "1"\n' + owner, "format must be"),
        ("owner key short", "64 digits", 'owner_key = "00"\n', "owner_key"),
        ("owner key a number", "text", "owner_key = 5\n", "owner_key"),
        ("name of 201", "at most 200", owner + f'name = "{"x" * 201}"\n', "at most 200"),
        ("name a list", "text", owner + "name = []\n", "name must be"),
        ("policy unknown", "three", owner + 'policy = "open"\n', "policy must be"),
        ("property without type", "a table with a type", owner + "[properties.a]\n", "properties.a"),
        ("property a text", "a table with a type", owner + '[properties]\na = "Text"\n', "properties.a"),
        ("property of another type", "five types", owner + '[properties.a]\ntype = "text"\n', "properties.a"),
        (
            "property with a reserved name",
            "reserved in any case",
            owner + '[properties.RowID]\ntype = "Text"\n',
            "properties.RowID",
        ),
        (
            "property with a hyphen",
            "the pattern of names",
            owner + '[properties.a-b]\ntype = "Text"\n',
            "properties.a-b",
        ),
        (
            "label of 501",
            "at most 500",
            owner + f'[properties.a]\ntype = "Text"\nlabel = "{"x" * 501}"\n',
            "label",
        ),
        ("label a number", "text", owner + '[properties.a]\ntype = "Text"\nlabel = 5\n', "label"),
        ("limit 0", "at least 1", owner + "[limits]\nmax_item_bytes = 0\n", "max_item_bytes"),
        ("limit a float", "an integer", owner + "[limits]\nmax_item_bytes = 1.5\n", "max_item_bytes"),
        ("limits a list", "a table", owner + "limits = []\n", "limits"),
    ]:
        family.bad(name, why, MalformedError, says, pod_toml=text)
    for url in BAD_URLS:
        family.bad(
            f"url {url!r}"[:60],
            "http or https, host, port, path",
            MalformedError,
            "url: ",
            pod_toml=owner + f"url = {json.dumps(url)}\n",
        )
    return family


BAD_URLS = [
    "plants.example.org", "ftp://plants.example.org", "HTTPS://plants.example.org", "https://", "https:///path", "https://a b",
    "https://user@host", "https://user:pw@host", "https://@host", "https://host?q", "https://host/#f", "https://host:0",
    "https://host:65536", "https://host:080", "https://host:", "https://host:1x", "https://host\\path", "https://h\u00f6st",
    "https://host/\u00e9", "https://host\n", "https://[::1", "https://host/<", "https://host/" + "a" * 2000,
]  # fmt: skip
"""No address a contributor is sent to."""


def _successors() -> Family:
    family = Family()
    third, other = THIRD, world.OTHER_IDENTITY
    second_signers = {"signers": [{"key": world.IDENTITY.signer.hex()}, {"key": other.signer.hex()}]}
    last = signed(packed(members(revision=5)))
    by_other = {"revision": 6, "signers": [{"key": other.signer.hex()}]}
    word, chain = endorsement(world.IDENTITY, other.signer), endorsement(other, third.signer)

    def pair(slots_json: str) -> dict[str, str]:
        return {"pod_toml": POD_TOML, "last": last, "new": slots_json}

    family.good("next", "the same signer", **pair(signed(packed(members(revision=6)))), is_new=True)
    family.good(
        "much later", "revisions may be left out", **pair(signed(packed(members(revision=500)))), is_new=True
    )
    family.good("the same", "the accepted one again", **pair(last), is_new=False)
    family.good(
        "endorsed signer",
        "reached by one endorsement",
        **pair(signed(packed(members(**by_other, endorsements=[word])), other)),
        is_new=True,
    )
    by_third = {"revision": 6, "signers": [{"key": third.signer.hex()}]}
    family.good(
        "endorsed over two",
        "in any order of the list",
        **pair(signed(packed(members(**by_third, endorsements=[chain, word])), third)),
        is_new=True,
    )
    broken = word | {"signature": base64_of(flipped(base64.b64decode(word["signature"]), 0))}
    family.good(
        "a broken endorsement beside",
        "it reaches nothing and is no error",
        **pair(signed(packed(members(**by_other, endorsements=[broken, word])), other)),
        is_new=True,
    )
    for name, why, slots_json in [
        ("older", "revisions only grow", signed(packed(members(revision=4)))),
        ("another of the same revision", "a fork", signed(packed(members(revision=5, zebra=1)))),
    ]:
        family.bad(name, why, PolicyError, "was accepted already", **pair(slots_json))
    for name, why, endorsements in [
        ("a stranger's", "not endorsed", []),
        ("endorsement of another key", "of the signer itself", [endorsement(world.IDENTITY, third.signer)]),
        ("endorsement by itself", "from an accepted signer", [endorsement(other, other.signer)]),
        ("endorsement with a broken signature", "it must hold", [broken]),
        (
            "endorsement for another pod",
            "the pod id is signed",
            [endorsement(world.IDENTITY, other.signer, world.OTHER_POD_ID)],
        ),
        ("endorsement with a short signature", "64 bytes", [word | {"signature": base64_of(bytes(63))}]),
    ]:
        family.bad(
            name,
            why,
            PolicyError,
            "does not lead to its signer",
            **pair(signed(packed(members(**by_other, endorsements=endorsements)), other)),
        )
    family.bad(
        "signers alone",
        "listing itself is no endorsement",
        PolicyError,
        "does not lead to its signer",
        **pair(signed(packed(members(revision=6, **second_signers)), other)),
    )
    return family


def build() -> dict[str, Any]:
    """policies/."""
    pairs = Family()
    _good_pairs(pairs)
    _bad_frames(pairs)
    _bad_signatures(pairs)
    _bad_members(pairs)
    return {
        "about": "pod_toml: the file alone. pairs: pod.toml and slots.json, as text; only two bytes of a signature or a "
        "member differ where a vector says so. successors: may new follow last, both with the same pod.toml; is_new "
        "false: it is the accepted one.",
        "pod_toml": _pod_toml().vectors,
        "pairs": pairs.vectors,
        "successors": _successors().vectors,
    }
