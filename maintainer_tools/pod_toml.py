"""Writing pod.toml: a first one with explanations, and edits that keep what people wrote.

Pure; publishing is `maintainer_tools.homes`, reading is `vault.pod`. Edits go
through tomlkit, which keeps comments, order and spacing. FORMAT.md, "Files".
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any, cast

import msgspec
import tomlkit

from vault.keys import OwnerKey
from vault.pod import SchemaPolicy
from vault.properties import ValueType

_FIRST = """\
# What this pod's server and its maintainer's tools know. Nothing here is secret.
# Edit it by hand if you like: an edit counts once `shared-pod schema apply HOME` has signed it.

format = 1

# Names the pod on the wire. Never change it.
owner_key = {owner_key}

# For people: shown to whoever gets an invite.
name = {name}

# Where contributors send to, such as "https://pod.example.org". Each invite carries it.
url = {url}

# Who may add properties that are not listed below:
#   "extend"  contributors declare them before they use them
#   "infer"   contributors just use them; their type is that of the first value
#   "closed"  only you
policy = {policy}

[limits]
# The largest item, in bytes. Without it the server's limit for a request counts.
# max_item_bytes = 65536

# What items may hold: a name, a type (Text, Integer, Real, Bool or DateTime), and
# if you like a label, the column's header in exports. For example:
#   heightCm = {{type = "Real", label = "Height (cm)"}}
[properties]
"""


class Property(msgspec.Struct, frozen=True):
    """A property as the maintainer declares it.

    Attributes:
        name: On the wire.
        value_type: Its type.
        label: The header a person wrote; None if it is the name.
    """

    name: str
    value_type: ValueType
    label: str | None = None


def first_pod_toml(owner_key: OwnerKey, *, name: str, url: str, policy: SchemaPolicy) -> bytes:
    """The pod.toml of a new pod, with a comment for everything in it."""
    written = _FIRST.format(
        owner_key=tomlkit.string(owner_key.hex).as_string(),
        name=tomlkit.string(name).as_string(),
        url=tomlkit.string(url).as_string(),
        policy=tomlkit.string(policy).as_string(),
    )
    return written.encode()


def with_properties(pod_toml: bytes, properties: Iterable[Property]) -> bytes:
    """Add properties to a pod.toml, or give those it has another label.

    Args:
        pod_toml: Valid.
        properties: Of the type they have already, if they are there.
    """
    document = tomlkit.parse(pod_toml.decode())
    if "properties" not in document:
        document["properties"] = tomlkit.table()
    for declared in properties:
        _put(cast(MutableMapping[str, Any], document["properties"]), declared)
    return tomlkit.dumps(document).encode()


def _put(table: MutableMapping[str, Any], declared: Property) -> None:
    if declared.name in table:
        table[declared.name]["label"] = declared.label
        return
    entry = tomlkit.inline_table()
    entry["type"] = declared.value_type.value
    if declared.label is not None:
        entry["label"] = declared.label
    table[declared.name] = entry
