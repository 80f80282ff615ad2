"""A new file key for a policy: every slot re-wrapped without asking its holder.

A slot's rewrap keeps D(K, "wrap") for the maintainer, so home can wrap another
file key under it: the invite goes on opening its slot. A tombstone stays one.
Not here: the vault's file (``vault.rewriting``). FORMAT.md, "Slots" and
"Rotation".
"""

from __future__ import annotations

import re
from typing import Any

from vault.encoding import pae
from vault.errors import DamagedError, FormatTooNewError, MalformedError, WrongKeyError
from vault.invites import IssuedSlot, issued_slots, members_of, next_policy
from vault.keys import KEY_BYTES, FileKey, PodId
from vault.notes import from_base64, to_base64
from vault.opening import Identity, open_file_key
from vault.policies import Policy
from vault.sealing import SUITE_BYTE, Entropy, file_key_info, seal_to_each
from vault.slots import NONCE_BYTES, wrap_file_key

_MARK = "shared-pod-rotation/v1 "
_LATER = re.compile(r"\Ashared-pod-rotation/v(?!1 )[1-9][0-9]{0,8} ")
_WHAT = "rotation"


def rekey(policy: Policy, identity: Identity, file_key: FileKey, entropy: Entropy) -> Policy:
    """The next policy, whose open slots unwrap another file key.

    Args:
        policy: The current one.
        identity: One of its signers and recipients.
        file_key: The new one.
        entropy: Source of nonces.

    Raises:
        FormatTooNewError: A slot has a limit this version does not know, to
            which the wrap is bound.
        WrongKeyError: The identity is not one of the pod's recipients.
        DamagedError: A slot names the identity but does not open.
        PolicyError: The identity is not one of the pod's signers.
    """
    issued = {each.slot.number: each for each in issued_slots(policy, identity)}
    slots = [
        _rekeyed(entry, issued[entry["number"]], file_key, policy.pod_id, entropy)
        for entry in members_of(policy)["slots"]
    ]
    sealed = seal_to_each(policy.recipients, file_key.reveal(), file_key_info(policy.pod_id))
    return next_policy(policy, identity, {"slots": slots, "file_key": to_base64(sealed)})


def _rekeyed(
    entry: dict[str, Any], issued: IssuedSlot, file_key: FileKey, pod_id: PodId, entropy: Entropy
) -> dict[str, Any]:
    slot = issued.slot
    if slot.wrap is None or entry["state"] == "revoked":
        return {name: value for name, value in entry.items() if name != "wrap"}
    if slot.caveats is None:
        raise FormatTooNewError(
            f"slot {slot.number} has a limit this version does not know; update shared-pod, then rotate"
        )
    wrap = wrap_file_key(
        file_key,
        issued.secrets.wrap_key,
        pod_id=pod_id,
        number=slot.number,
        caveats=slot.caveats,
        nonce=entropy(NONCE_BYTES),
    )
    return entry | {"wrap": to_base64(wrap)}


def is_keyed(policy: Policy, identity: Identity, file_key: FileKey) -> bool:
    """Whether a policy's file key is ``file_key``; raises what ``vault.opening.open_file_key`` does."""
    return open_file_key(identity, policy.file_key, policy.pod_id) == file_key


def _info(pod_id: PodId) -> bytes:
    return pae(b"rotation/v1", SUITE_BYTE, pod_id)


def format_rotation(file_key: FileKey, identity: Identity, pod_id: PodId) -> bytes:
    """The bytes of home's file ``rotation``: the coming file key, sealed to the identity."""
    sealed = seal_to_each([identity.recipient], file_key.reveal(), _info(pod_id))
    return f"{_MARK}{to_base64(sealed)}\n".encode()


def parse_rotation(line: str, identity: Identity, pod_id: PodId) -> FileKey:
    """Read the line of home's file ``rotation``.

    Raises:
        FormatTooNewError: Of a later format.
        MalformedError: Anything else than a rotation.
        WrongKeyError: Sealed to another identity.
        DamagedError: It does not open, or holds no key.
    """
    if _LATER.match(line):
        raise FormatTooNewError("rotation: it is of a later format; update shared-pod")
    if not line.startswith(_MARK):
        raise MalformedError("rotation: what `rotate --file-key` leaves when it is interrupted was expected")
    sealed = from_base64(line.removeprefix(_MARK), _WHAT)
    try:
        raw = identity.open_sealed(sealed, _info(pod_id), _WHAT)
    except WrongKeyError as exc:
        raise WrongKeyError("rotation: it was begun with another identity; use that one") from exc
    if len(raw) != KEY_BYTES:
        raise DamagedError("rotation: it holds no key")
    return FileKey(raw)
