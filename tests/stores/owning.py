"""A bucket on Ceph as docs/ceph.md has people set it up: its owner's, with rights for a function's user."""

from __future__ import annotations

import json
from typing import Any

from tests.stores.ceph import Ceph
from tests.support.server import ROOT
from tests.support.stores import Keys, Store, new_bucket

_PAGE = ROOT / "docs" / "ceph.md"
_INDENT = "    "


def policy_of(store: Store, function: Keys) -> str:
    """The policy on that page, for this bucket, its owner and this user."""
    lines = _PAGE.read_text().splitlines()
    first, last = lines.index(f"{_INDENT}{{"), lines.index(f"{_INDENT}}}")
    text = "\n".join(lines[first : last + 1])
    names = {"BUCKET": store.bucket, "pod-home": store.admin.access_key, "pod-function": function.access_key}
    for name, own in names.items():
        assert name in text
        text = text.replace(name, own)
    policy: dict[str, Any] = json.loads(text)
    return json.dumps(policy)


def owned_bucket(ceph: Ceph) -> tuple[Store, Keys]:
    """A bucket, and the keys of a user who may put items into it."""
    store, function = new_bucket(ceph.store()), ceph.user("--max-buckets=-1")
    store.client().put_bucket_policy(Bucket=store.bucket, Policy=policy_of(store, function))
    return store, function
