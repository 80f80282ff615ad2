"""A slot's own view, sealed under a key only its contributor and the maintainer have.

What a slot declared would tell a thief of the file what the data is about; so
it rests as AES-256-GCM under D(K,"view"). FORMAT.md, "Properties and views".
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.encoding import le32, mp, pae, un_mp
from vault.errors import DamagedError, MalformedError
from vault.keys import PodId
from vault.properties import MAX_VIEW_NAMES, ValueType, check_property_name
from vault.slots import NONCE_BYTES


def _aad(pod_id: PodId, slot: int) -> bytes:
    return pae(b"view/v1", pod_id, le32(slot))


def seal_view(
    own: Mapping[str, ValueType], view_key: bytes, *, pod_id: PodId, slot: int, nonce: bytes
) -> bytes:
    """Seal what a slot declared: nonce, then AES-256-GCM of MP {name: type as text}.

    Args:
        own: At most 512 names.
        view_key: 32 bytes, D(K,"view").
        pod_id: The slot's pod.
        slot: The slot's number.
        nonce: 12 random bytes; the key seals once per batch that declares.
    """
    plain = mp({name: str(value_type) for name, value_type in own.items()})
    return nonce + AESGCM(view_key).encrypt(nonce, plain, _aad(pod_id, slot))


def _parse_view(plain: bytes) -> dict[str, ValueType]:
    own = {name: ValueType(str(value_type)) for name, value_type in un_mp(plain).items()}
    for name in own:
        check_property_name(name)
    return own


def open_view(sealed: bytes | None, view_key: bytes, *, pod_id: PodId, slot: int) -> dict[str, ValueType]:
    """Open a slot's own view; None, a slot that declared nothing, is empty.

    Raises:
        DamagedError: It was altered, is another slot's, or holds what no slot
            can have declared.
    """
    if sealed is None:
        return {}
    try:
        plain = AESGCM(view_key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _aad(pod_id, slot))
        own = _parse_view(plain)
    except (InvalidTag, MalformedError, ValueError) as exc:
        raise DamagedError(f"the view of slot {slot} does not open: it was altered") from exc
    if len(own) > MAX_VIEW_NAMES:
        raise DamagedError(f"the view of slot {slot} has more than {MAX_VIEW_NAMES} names")
    return own
