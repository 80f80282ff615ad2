"""Having items erased: by this process where nobody writes the vault, else by its server.

A server has the vault open and the keys for it; home has neither to do what it
does, but signs what is to go. A locked server opens for nobody: what it is asked
is done when the next item comes. FORMAT.md, "Erasure" and "Requests".
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from maintainer_tools.console import warn
from maintainer_tools.homes import PATIENCE, Home
from maintainer_tools.reading import reading_as
from maintainer_tools.times import now_ms
from vault.erasing import Erased
from vault.erasures import read_place
from vault.errors import BusyError, DamagedError, LockedError, VaultError
from vault.keys import PodId
from vault.locks import Patience
from vault.opening import Identity
from vault.pod import PodFolder, load_log_key
from vault.policies import Policy, check_signer, load_policy, past_signers
from vault.reader import Reader, file_key_of
from vault.requests import (
    ID_BYTES,
    Erase,
    list_requests,
    read_request,
    remove_request,
    sign_request,
    write_request,
)
from vault.store import Writer, open_writer
from vault.whereabouts import find_by_place

STATEMENTS_A_REQUEST = 1_000
"""A file of 300 KB; a server reads up to 1 MiB."""
SERVER_PATIENCE = Patience(5.0, time.monotonic, time.sleep)
"""How long a server is waited for: one that is open looks four times a second."""
_POLL_SECONDS = 1.0
_BUSY_SECONDS = 0.05


class Pending(NamedTuple):
    """A request that lies in the pod's folder.

    Attributes:
        id: 16 bytes.
        statements: What it asks for.
    """

    id: bytes
    statements: tuple[bytes, ...]


def pending_requests(pod: PodFolder, pod_id: PodId, signers: Collection[bytes]) -> Iterator[Pending]:
    """The erasures a server was asked for before; files that none of ``signers`` signed are passed over."""
    for found in list_requests(pod).found:
        try:
            request = read_request(found, pod_id=pod_id, signers=signers)
        except VaultError:
            continue
        if isinstance(request, Erase):
            yield Pending(found.id, request.statements)


def settle_requests(pod: PodFolder, reader: Reader) -> int:
    """Remove every request that was done, and those of an identity since replaced, which no server hears.

    Args:
        pod: The pod's own folder.
        reader: A copy of it.

    Returns:
        How many are left.
    """
    policy, left = reader.policy, 0
    heard = {request.id for request in pending_requests(pod, policy.pod_id, policy.signers)}
    for request in list(pending_requests(pod, policy.pod_id, past_signers(policy))):
        is_done = all(_is_done(reader, statement) for statement in request.statements)
        if not is_done and request.id in heard:
            left += 1
            continue
        remove_request(pod, request.id)
        if not is_done:
            warn("an earlier request was signed by an identity replaced since, and was not done: erase again")
    return left


def _is_done(reader: Reader, statement: bytes) -> bool:
    place = read_place(statement)
    found = find_by_place(reader.rows, place.uid, place.index)
    return found is None or found.is_erased


def carry_out(
    home: Home,
    identity: Identity,
    statements: Sequence[bytes],
    *,
    patience: Patience = PATIENCE,
    server_patience: Patience = SERVER_PATIENCE,
) -> bool:
    """Have items erased.

    Args:
        home: Whose pod; the folder is the one its server writes, if there is one.
        identity: Its identity.
        statements: One signed statement an item.
        patience: How long to wait for someone who copies the vault.
        server_patience: How long to wait for a server.

    Returns:
        False if a server has the vault and was asked, and has not done it yet.

    Raises:
        DamagedError: A statement does not hold for this vault, or the vault fails its checks.
        PolicyError: pod.toml was edited by hand, or slots.json is older than the accepted one.
        VaultError: As ``vault.store.open_writer`` and ``vault.store.Writer.erase``.
    """
    policy = load_policy(home.pod)
    check_signer(policy, identity.signer)
    try:
        writer = _open(home.pod, policy, identity, patience)
    except LockedError:
        requested = [
            _ask(home.pod, policy, identity, statements[first : first + STATEMENTS_A_REQUEST])
            for first in range(0, len(statements), STATEMENTS_A_REQUEST)
        ]
        return _await(home.pod, identity, requested, server_patience)
    _erase(writer, home.pod, policy, statements, patience)
    return True


def _open(pod: PodFolder, policy: Policy, identity: Identity, patience: Patience) -> Writer:
    deadline = patience.clock() + patience.timeout_seconds
    while True:
        try:
            return open_writer(
                pod,
                policy,
                file_key_of(policy, identity),
                load_log_key(pod),
                now_ms=now_ms,
                entropy=os.urandom,
            )
        except BusyError:
            if patience.clock() >= deadline:
                raise
        patience.sleep(_BUSY_SECONDS)


def _erase(
    writer: Writer, pod: PodFolder, policy: Policy, statements: Sequence[bytes], patience: Patience
) -> None:
    erased = Erased()
    try:
        # What a server was asked for and never came to do is done on the way.
        for request in list(pending_requests(pod, policy.pod_id, policy.signers)):
            writer.erase(policy, request.statements)
            remove_request(pod, request.id)
        erased = writer.erase(policy, statements)
    finally:
        _close(writer, patience)
    if erased.refusals:
        raise DamagedError(f"{erased.refusals[0]}; {erased.items} items were erased")


def _close(writer: Writer, patience: Patience) -> None:
    deadline = patience.clock() + patience.timeout_seconds
    while not writer.close():
        if patience.clock() >= deadline:
            warn(
                "a snapshot is being taken all the while, so the write-ahead log still has the pages "
                "as they were; the next item, or the next `erase`, empties it"
            )
            return
        patience.sleep(_BUSY_SECONDS)


def _ask(pod: PodFolder, policy: Policy, identity: Identity, statements: Sequence[bytes]) -> Pending:
    request_id = os.urandom(ID_BYTES)
    content = sign_request(policy.pod_id, request_id, Erase(tuple(statements)), identity)
    write_request(pod, request_id, content)
    return Pending(request_id, tuple(statements))


def _await(pod: PodFolder, identity: Identity, requested: Sequence[Pending], patience: Patience) -> bool:
    deadline = patience.clock() + patience.timeout_seconds
    while True:
        patience.sleep(_POLL_SECONDS)
        with reading_as(pod, identity) as reader:
            is_done = all(
                _is_done(reader, statement) for request in requested for statement in request.statements
            )
        if is_done:
            for request in requested:
                remove_request(pod, request.id)
            return True
        if patience.clock() >= deadline:
            return False
