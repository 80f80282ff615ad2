"""Requests in a pod's folder, and the erasure statements in them: what a server is asked to do by a file.

Promises: what is believed was signed by a signer, for this pod, under this
name, and is written again with the same bytes; so is each statement in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.target import Shape, Target
from tests.support.vectors import load, vectors
from tests.vectors import world
from vault.encoding import le32, pae, unpae
from vault.erasures import erasure_bytes, read_place, verify_erasure
from vault.errors import DamagedError, ForeignPodError, FormatTooNewError, MalformedError
from vault.header import parse_header
from vault.keys import is_signed
from vault.requests import MOST_HOLD_MS, Erase, Hold, parse_request, request_bytes

ID = world.draw("request", 16)
SIGNERS = [world.IDENTITY.signer]
NOW_MS = 1_763_700_000_000
_ERASED = load("erasures/accept-erasure.json")
HEADER, INDEX, DIGEST = (
    parse_header(bytes.fromhex(_ERASED["header"])),
    int(_ERASED["index"]),
    bytes.fromhex(_ERASED["digest"]),
)


def run(data: bytes) -> None:
    """Read the request, and each statement in it."""
    try:
        request = parse_request(data, pod_id=world.POD_ID, request_id=ID, signers=SIGNERS)
    except (DamagedError, ForeignPodError, FormatTooNewError, MalformedError):
        return
    signed, key, signature = unpae(data)
    assert signed == request_bytes(world.POD_ID, ID, request)
    assert key in SIGNERS
    assert is_signed(key, signature, signed)
    if isinstance(request, Hold):
        assert not request.is_on(NOW_MS) or NOW_MS < request.until_ms <= NOW_MS + MOST_HOLD_MS
    else:
        _verify_all(request)


def _verify_all(request: Erase) -> None:
    for statement in request.statements:
        try:
            place = read_place(statement)
            ms = verify_erasure(statement, header=HEADER, index=INDEX, digest=DIGEST, signers=SIGNERS)
        except (DamagedError, FormatTooNewError, MalformedError):
            continue
        assert (place.uid, place.index) == (HEADER.uid, INDEX)
        signed = erasure_bytes(HEADER, INDEX, DIGEST, ms)
        assert statement == pae(signed, SIGNERS[0], world.IDENTITY.sign(signed))


def _split(data: bytes) -> list[bytes]:
    return unpae(unpae(data, 3)[0])


def _join(fields: list[bytes]) -> bytes:
    """Signed, and so is each statement where an erasure is asked for."""
    fields = [*fields[:-1], _with_statements(fields[-1])] if fields[3:4] == [b"erase"] else fields
    return _signed(pae(*fields))


def _with_statements(body: bytes) -> bytes:
    try:
        statements = [unpae(statement) for statement in unpae(body)]
        return pae(*(_signed(statement[0]) for statement in statements))
    except (MalformedError, IndexError):
        return body


def _signed(text: bytes) -> bytes:
    return pae(text, world.IDENTITY.signer, world.IDENTITY.sign(text))


def _seeds() -> Iterator[bytes]:
    for vector in vectors("requests"):
        yield bytes.fromhex(vector["request"])
    for vector in vectors("erasures"):
        yield _join([b"request/v1", world.POD_ID, ID, b"erase", pae(bytes.fromhex(vector["statement"]))])
    right = erasure_bytes(HEADER, INDEX, DIGEST, NOW_MS)
    yield _join([b"request/v1", world.POD_ID, ID, b"erase", pae(_signed(right), _signed(right + le32(0)))])


TARGET = Target(run, _seeds, 8_192, (Shape(_split, _join),))
