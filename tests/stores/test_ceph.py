"""The cluster that other tests lean on: it keeps what it was given, over a crash of each of its parts."""

from __future__ import annotations

from dataclasses import replace

from tests.stores.ceph import Ceph
from tests.support.stores import new_bucket


def test_what_is_stored_survives_crashes(ceph: Ceph) -> None:
    """Of the storage daemon, and of a gateway; every gateway shows the same."""
    store = new_bucket(ceph.store())
    other = replace(store, endpoint=ceph.endpoints[1])
    store.client().put_object(Bucket=store.bucket, Key="one", Body=b"content")

    ceph.kill_gateway(0)
    assert other.content("one") == b"content"
    ceph.kill_osd()
    ceph.start_osd()
    assert other.content("one") == b"content"
    ceph.start_gateway(0)
    assert store.content("one") == b"content"
