"""The policy: pod.toml and slots.json, one signed pair whose revision only grows.

slots.json is ``{"signature":...,"signer":...,"policy":P}`` and a newline; the
signature covers P's bytes as they stand, and P holds the hash of pod.toml.
This module reads and verifies; writing is the maintainer's (``vault.invites``).
FORMAT.md, "Policy".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NoReturn

import msgspec

from vault.caveats import parse_caveats
from vault.encoding import pae
from vault.errors import FormatTooNewError, MalformedError, PolicyError
from vault.files import read_file
from vault.keys import PodId, is_signed
from vault.notes import from_base64
from vault.pod import MAX_POD_TOML_BYTES, PodConfig, PodFolder, parse_pod_toml
from vault.sealing import Recipient
from vault.slots import NONCE_BYTES, Slot

POLICY_FORMAT = 1
MAX_SLOTS_JSON_BYTES = 16 << 20
"""About 8,000 invites with one recipient each; a larger file is refused unread."""
MAX_SLOT_NUMBER = 2**32 - 1
_WRAP_BYTES = NONCE_BYTES + 32 + 16

_FRAME = re.compile(
    rb'\A\{"signature":"([0-9a-f]{128})","signer":"([0-9a-f]{64})","policy":(.*)\}\n\Z', re.DOTALL
)


class Endorsement(msgspec.Struct, frozen=True):
    """One signer's word for another: how trust passes to a new identity.

    Attributes:
        key: 32 bytes, the Ed25519 public key vouched for.
        by: 32 bytes, the key that vouches.
        signature: 64 bytes over pae("signer/v1", pod id, key).
    """

    key: bytes
    by: bytes
    signature: bytes


class Log(msgspec.Struct, frozen=True):
    """A key that may sign batch headers of this pod.

    Attributes:
        key: 32 bytes, Ed25519 public.
        kind: ``vault`` signs checkpoints too; ``function`` signs headers only.
    """

    key: bytes
    kind: Literal["vault", "function"]


class Policy(msgspec.Struct, frozen=True):
    """A verified pair of pod.toml and slots.json.

    Attributes:
        revision: Grows with each issue.
        digest: SHA-256 of slots.json; what batch headers name.
        config: What pod.toml says.
        pod_id: The pod's id.
        recipients: Whom batches are sealed to.
        file_key: The file key sealed to each recipient.
        signers: 32-byte Ed25519 public keys that may issue policies.
        endorsements: How later signers were vouched for.
        logs: Keys that may sign batches.
        slots: Every slot ever issued, tombstones too.
        signer: Who signed this one.
        pod_toml: The file's bytes.
        slots_json: The file's bytes.
        slot_by_lookup: The slots by their index.
        slot_by_number: The slots by their number.
    """

    revision: int
    digest: bytes
    config: PodConfig
    pod_id: PodId
    recipients: tuple[Recipient, ...]
    file_key: bytes
    signers: tuple[bytes, ...]
    endorsements: tuple[Endorsement, ...]
    logs: tuple[Log, ...]
    slots: tuple[Slot, ...]
    signer: bytes
    pod_toml: bytes
    slots_json: bytes
    slot_by_lookup: Mapping[bytes, Slot]
    slot_by_number: Mapping[int, Slot]

    @property
    def vault_logs(self) -> list[bytes]:
        """Public keys that may sign checkpoints, newest last."""
        return [log.key for log in self.logs if log.kind == "vault"]

    @property
    def function_logs(self) -> list[bytes]:
        """Public keys that may sign headers only."""
        return [log.key for log in self.logs if log.kind == "function"]


def signed_bytes(pod_id: PodId, policy: bytes) -> bytes:
    """What a policy's signature covers."""
    return pae(b"policy/v1", pod_id, policy)


def endorsed_bytes(pod_id: PodId, key: bytes) -> bytes:
    """What an endorsement's signature covers."""
    return pae(b"signer/v1", pod_id, key)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("slots.json: a member appears twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise MalformedError("slots.json: NaN and Infinity are not JSON")


def parse_strict_json(text: bytes) -> dict[str, Any]:
    """Decode one JSON object; duplicate members and non-JSON constants are refused.

    Raises:
        MalformedError: Anything but one object.
    """
    try:
        value = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise MalformedError("slots.json: it is not one JSON object") from exc
    if type(value) is not dict:
        raise MalformedError("slots.json: it is not one JSON object")
    return value


def _get(members: dict[str, Any], name: str, kind: type) -> Any:
    value = members.get(name)
    if type(value) is not kind:
        raise MalformedError(f"slots.json: {name} is missing or of another type than {kind.__name__}")
    return value


def _hex(members: dict[str, Any], name: str, count: int = 32) -> bytes:
    text = _get(members, name, str)
    if len(text) != 2 * count or re.search(r"[^0-9a-f]", text):
        raise MalformedError(f"slots.json: {name} must be {2 * count} lower-case hexadecimal digits")
    return bytes.fromhex(text)


def _base64(members: dict[str, Any], name: str) -> bytes:
    return from_base64(_get(members, name, str), f"slots.json: {name}")


def _objects(members: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = _get(members, name, list)
    if not all(type(entry) is dict for entry in entries):
        raise MalformedError(f"slots.json: {name} must be a list of objects")
    return list(entries)


def _endorsement(entry: dict[str, Any]) -> Endorsement:
    return Endorsement(_hex(entry, "key"), _hex(entry, "by"), _base64(entry, "signature"))


def _log(entry: dict[str, Any]) -> Log:
    # Compared one by one: a list from a file is no member of a set, and Python says so by a TypeError.
    match entry.get("kind"):
        case "vault" | "function" as kind:
            return Log(_hex(entry, "key"), kind)
    raise MalformedError("slots.json: a log's kind must be vault or function")


def _wrap(entry: dict[str, Any]) -> bytes | None:
    if entry.get("wrap") is None:
        return None
    wrap = _base64(entry, "wrap")
    if len(wrap) != _WRAP_BYTES:
        raise MalformedError(f"slots.json: wrap must have {_WRAP_BYTES} bytes")
    return wrap


def _slot(entry: dict[str, Any]) -> Slot:
    number = _get(entry, "number", int)
    if not 0 <= number <= MAX_SLOT_NUMBER:
        raise MalformedError("slots.json: a slot's number must have 32 bits")
    caveats = parse_caveats(_get(entry, "caveats", dict))
    wrap = _wrap(entry)
    is_open = _get(entry, "state", str) == "active" and caveats is not None and wrap is not None
    return Slot(number, _hex(entry, "lookup"), _base64(entry, "rewrap"), caveats, wrap, is_open)


def _slots(policy: dict[str, Any]) -> tuple[Slot, ...]:
    slots = tuple(_slot(entry) for entry in _objects(policy, "slots"))
    if len({slot.number for slot in slots}) != len(slots) or len({slot.lookup for slot in slots}) != len(
        slots
    ):
        raise MalformedError("slots.json: two slots share a number or a lookup")
    return slots


def _signers(policy: dict[str, Any]) -> tuple[bytes, ...]:
    return tuple(_hex(entry, "key") for entry in _objects(policy, "signers"))


def _recipients(policy: dict[str, Any]) -> tuple[Recipient, ...]:
    recipients = tuple(Recipient(_base64(entry, "key")) for entry in _objects(policy, "recipients"))
    if not recipients:
        raise MalformedError("slots.json: at least one recipient was expected")
    return recipients


def _revision(policy: dict[str, Any]) -> int:
    revision = _get(policy, "revision", int)
    if not 1 <= revision < 2**63:
        raise MalformedError("slots.json: revision must be a positive integer of 63 bits")
    return int(revision)


def _check_format(policy: dict[str, Any]) -> None:
    found = _get(policy, "format", int)
    if found > POLICY_FORMAT:
        raise FormatTooNewError("slots.json: it is of a later format; update shared-pod")
    if found != POLICY_FORMAT:
        raise MalformedError(f"slots.json: format {POLICY_FORMAT} was expected")


def parse_policy(pod_toml: bytes, slots_json: bytes, *, is_edited: bool = False) -> Policy:
    """Read and verify a pair.

    Verified here: the pair belongs together and is signed by a signer it
    lists. Whether that signer may follow the last accepted one is
    ``check_successor``'s question.

    Args:
        pod_toml: Untrusted bytes of pod.toml.
        slots_json: Untrusted bytes of slots.json.
        is_edited: Whether pod.toml may differ from the signed one: home's
            tools go on with an edit by hand and sign it with the next change.

    Raises:
        MalformedError: Either file is not its format.
        FormatTooNewError: A later format.
        PolicyError: They are no pair, or the signature does not hold.
    """
    frame = _FRAME.match(slots_json)
    if not frame:
        raise MalformedError(
            "slots.json: the signed frame was expected; run any invite command to write it again"
        )
    signature, signer, signed = bytes.fromhex(frame[1].decode()), bytes.fromhex(frame[2].decode()), frame[3]
    config = parse_pod_toml(pod_toml)
    pod_id = config.owner_key.pod_id
    if not is_signed(signer, signature, signed_bytes(pod_id, signed)):
        raise PolicyError("slots.json: its signature does not hold for this pod's owner key")
    policy = parse_strict_json(signed)
    _check_format(policy)
    if _hex(policy, "pod_toml") != hashlib.sha256(pod_toml).digest() and not is_edited:
        raise PolicyError(
            "pod.toml is not the one slots.json signs; "
            "an edit by hand counts once `schema apply` has signed it"
        )
    signers = _signers(policy)
    if signer not in signers:
        raise PolicyError("slots.json: its signer is not one of the signers it lists")
    slots = _slots(policy)
    return Policy(
        revision=_revision(policy),
        digest=hashlib.sha256(slots_json).digest(),
        config=config,
        pod_id=pod_id,
        recipients=_recipients(policy),
        file_key=_base64(policy, "file_key"),
        signers=signers,
        endorsements=tuple(_endorsement(entry) for entry in _objects(policy, "endorsements")),
        logs=tuple(_log(entry) for entry in _objects(policy, "logs")),
        slots=slots,
        signer=signer,
        pod_toml=pod_toml,
        slots_json=slots_json,
        slot_by_lookup={slot.lookup: slot for slot in slots},
        slot_by_number={slot.number: slot for slot in slots},
    )


def load_policy(folder: PodFolder, *, is_edited: bool = False) -> Policy:
    """Read and verify the pair in a pod's folder.

    Args:
        folder: The pod's folder.
        is_edited: See ``parse_policy``.

    Raises:
        MissingError: One of the two files is not there.
        MalformedError: One is not its format.
        FormatTooNewError: A later format.
        PolicyError: They are no pair, or the signature does not hold.
        StorageError: One cannot be read.
    """
    slots_json = read_file(folder.slots_json, MAX_SLOTS_JSON_BYTES)
    return parse_policy(read_file(folder.pod_toml, MAX_POD_TOML_BYTES), slots_json, is_edited=is_edited)


def _is_endorsed(endorsement: Endorsement, pod_id: PodId) -> bool:
    return is_signed(endorsement.by, endorsement.signature, endorsed_bytes(pod_id, endorsement.key))


def _reached(roots: Iterable[bytes], policy: Policy) -> set[bytes]:
    """The keys that ``roots`` lead to by the policy's endorsements, themselves included."""
    reached = set(roots)
    waiting = list(policy.endorsements)
    # Each signature is checked once: a hostile file cannot make it more.
    while ready := [endorsement for endorsement in waiting if endorsement.by in reached]:
        waiting = [endorsement for endorsement in waiting if endorsement.by not in reached]
        reached.update(endorsement.key for endorsement in ready if _is_endorsed(endorsement, policy.pod_id))
    return reached


def check_signer(policy: Policy, root: bytes) -> None:
    """Decide whether someone who trusts one signer may trust this policy.

    Args:
        policy: Verified against its own signers.
        root: 32 bytes: the identity's own signer, or the invite's.

    Raises:
        PolicyError: The policy's signer is not ``root`` nor endorsed from it.
    """
    if policy.signer not in _reached([root], policy):
        raise PolicyError(
            "slots.json is signed by someone this identity never endorsed; do not trust this folder"
        )


def past_signers(policy: Policy) -> set[bytes]:
    """Whose policies and erasures count in a pod's history, for one who trusts its present policy."""
    return {*policy.signers, *(endorsement.by for endorsement in policy.endorsements)}


def check_successor(last: Policy, new: Policy) -> bool:
    """Decide whether ``new`` may follow the last accepted policy.

    Returns:
        True if it is new; False if it is the accepted one.

    Raises:
        PolicyError: Another pod's, an older or forked revision, or a signer
            the accepted policy does not lead to.
    """
    if new.pod_id != last.pod_id:
        raise PolicyError("slots.json: it is of another pod")
    if new.digest == last.digest:
        return False
    if new.revision <= last.revision:
        raise PolicyError(
            f"slots.json: revision {last.revision} was accepted already; "
            f"revision {new.revision} is older or of another line. "
            "Put the newest pod.toml and slots.json here"
        )
    if new.signer not in _reached(last.signers, new):
        raise PolicyError("slots.json: the accepted policy does not lead to its signer")
    return True
