"""The stores that rounds are run against: one that imitates S3, and Ceph, whose daemons can be killed."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from tests.stores.ceph import Ceph, running_ceph
from tests.support.stores import Keys, Store, new_bucket, running_store

STARTS = 4
Started = TypeVar("Started")


@dataclass
class Engine:
    """A running store.

    Attributes:
        name: And its version.
        store: With an empty bucket.
        endpoints: Every way to it.
        role: What functions have.
        daemons: What can be killed, by name; each call kills one and starts it again.
        has_clock: Whether it refuses signatures of another time itself.
    """

    name: str
    store: Store
    endpoints: list[str]
    role: Keys
    daemons: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    has_clock: bool = False


@contextlib.contextmanager
def imitated() -> Iterator[Callable[[], Engine]]:
    """moto's server in a thread: it enforces rights; its data are in memory. Each call makes a bucket."""
    with running_store() as running:

        def engine() -> Engine:
            store = new_bucket(running)
            name = f"moto {importlib.metadata.version('moto')}"
            return Engine(name, store, [store.endpoint], store.role())

        yield engine


@contextlib.contextmanager
def real() -> Iterator[Callable[[], Engine]]:
    """A cluster of Ceph's on loopback. Each call makes a bucket."""
    with contextlib.ExitStack() as running:
        ceph = _again(lambda: running.enter_context(running_ceph()))
        yield partial(engine_of, ceph, ceph.store())


def engine_of(ceph: Ceph, owner: Store) -> Engine:
    """Ceph's storage daemon behind its gateways, all of which can be killed, and a new bucket.

    Args:
        ceph: Running; the caller is the main thread.
        owner: Whose bucket it is.
    """
    daemons: dict[str, Callable[[], None]] = {"storage daemon": partial(_restart_osd, ceph)}
    for number in range(len(ceph.endpoints)):
        daemons[f"store's gateway {number + 1}"] = partial(_restart_gateway, ceph, number)
    store = new_bucket(owner)
    return Engine(f"Ceph {ceph.version()}", store, list(ceph.endpoints), store.admin, daemons, has_clock=True)


def _restart_osd(ceph: Ceph) -> None:
    ceph.kill_osd()
    _again(ceph.start_osd)


def _restart_gateway(ceph: Ceph, number: int) -> None:
    ceph.kill_gateway(number)
    _again(lambda: ceph.start_gateway(number))


def _again(start: Callable[[], Started]) -> Started:
    """Start what may need a second start: after a crash, or beside a monitor that has just begun."""
    for _ in range(STARTS - 1):
        with contextlib.suppress(AssertionError):
            return start()
    return start()
