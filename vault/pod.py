"""A pod's folder and its pod.toml.

The folder is all a server needs and opens nothing. pod.toml is written for
people; the tools edit it elsewhere, this module only reads it. Whether it is
the one its slots.json signs is decided in ``vault.policies``. FORMAT.md, "Files".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from vault.errors import FormatTooNewError, ItemError, MalformedError
from vault.files import read_file
from vault.keys import LogKey, OwnerKey
from vault.properties import ValueType, check_property_name

POD_FORMAT = 1
MAX_POD_TOML_BYTES = 1 << 20
"""A pod.toml larger than this is refused unread."""
MAX_LABEL_CHARACTERS = 500
MAX_NAME_CHARACTERS = 200
MAX_URL_CHARACTERS = 2_000

SchemaPolicy = Literal["extend", "closed", "infer"]
SCHEMA_POLICIES: tuple[SchemaPolicy, ...] = ("extend", "closed", "infer")

_MAX_PORT = 65_535
# No user, no query, no fragment; other hosts than ASCII ones are written in Punycode.
_URL = re.compile(
    r"\Ahttps?://(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?"
    r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*\Z"
)


class PodFolder:
    """The paths of one pod's files.

    Args:
        path: The folder; not touched here.

    Attributes:
        path: See above.
        vault: The SQLCipher file.
        wal: Its write-ahead log; part of the vault while it exists.
    """

    __slots__ = ("path", "vault", "wal")

    def __init__(self, path: Path) -> None:
        self.path = path
        # Asked for with every batch, so made once.
        self.vault = path / "vault.db"
        self.wal = path / "vault.db-wal"

    @property
    def pod_toml(self) -> Path:
        """What people read: owner key, name, url, policy, properties."""
        return self.path / "pod.toml"

    @property
    def slots_json(self) -> Path:
        """The signed policy."""
        return self.path / "slots.json"

    @property
    def log_key(self) -> Path:
        """The seed that signs the log."""
        return self.path / "log.key"

    @property
    def log_head(self) -> Path:
        """The newest checkpoint the server published."""
        return self.path / "log.head"

    def __repr__(self) -> str:
        return f"PodFolder({self.path})"


class PodConfig(msgspec.Struct, frozen=True):
    """What pod.toml says.

    Attributes:
        owner_key: Names the pod on the wire.
        name: For people, at most 200 characters.
        url: Where contributors send to, without a trailing slash; empty if unknown.
        policy: ``extend``, ``closed`` or ``infer``.
        properties: What the maintainer declared.
        labels: Property name to the header a person wrote.
        max_item_bytes: Largest canonical item; None for the server's own limit.
    """

    owner_key: OwnerKey
    name: str
    url: str
    policy: SchemaPolicy
    properties: Mapping[str, ValueType]
    labels: Mapping[str, str]
    max_item_bytes: int | None = None


def _member(table: dict[str, Any], name: str, kind: type, default: object = None) -> Any:
    value = table.get(name, default)
    if type(value) is not kind:
        raise MalformedError(f"pod.toml: {name} must be of type {kind.__name__}")
    return value


def _owner_key(table: dict[str, Any]) -> OwnerKey:
    try:
        return OwnerKey.from_hex(_member(table, "owner_key", str))
    except MalformedError as exc:
        raise MalformedError("pod.toml: owner_key must be 64 hexadecimal digits") from exc


def check_url(url: str) -> str:
    """Return ``url`` without trailing slashes if contributors can be sent there.

    Raises:
        MalformedError: Not http:// or https://, a host, and if wanted a port
            and a path, in ASCII and at most ``MAX_URL_CHARACTERS``.
    """
    found = _URL.match(url) if len(url) <= MAX_URL_CHARACTERS else None
    if not found or int(found[1] or 1) > _MAX_PORT:
        raise MalformedError("url: https://host, optionally with a port and path, was expected")
    return url.rstrip("/")


def _url(table: dict[str, Any]) -> str:
    url = cast(str, _member(table, "url", str, ""))
    return check_url(url) if url else ""


def _name(table: dict[str, Any]) -> str:
    name = cast(str, _member(table, "name", str, ""))
    if len(name) > MAX_NAME_CHARACTERS:
        raise MalformedError(f"pod.toml: name must have at most {MAX_NAME_CHARACTERS} characters")
    return name


def _policy(table: dict[str, Any]) -> SchemaPolicy:
    policy = _member(table, "policy", str, "extend")
    if policy not in SCHEMA_POLICIES:
        raise MalformedError(f"pod.toml: policy must be one of {', '.join(SCHEMA_POLICIES)}")
    return cast(SchemaPolicy, policy)


def _property(name: str, entry: object) -> tuple[ValueType, str | None]:
    if type(entry) is not dict:
        raise MalformedError(f"pod.toml: properties.{name[:64]} must be a table with a type")
    label = entry.get("label")
    if label is not None and (type(label) is not str or len(label) > MAX_LABEL_CHARACTERS):
        raise MalformedError(
            f"pod.toml: properties.{name[:64]}.label must be text of at most {MAX_LABEL_CHARACTERS}"
        )
    try:
        check_property_name(name)
        return ValueType(str(entry.get("type"))), label
    except (ItemError, ValueError) as exc:
        types = ", ".join(ValueType)
        raise MalformedError(
            f"pod.toml: properties.{name[:64]}: a free name and one of {types} were expected"
        ) from exc


def _properties(table: dict[str, Any]) -> tuple[dict[str, ValueType], dict[str, str]]:
    properties, labels = {}, {}
    for name, entry in _member(table, "properties", dict, {}).items():
        properties[name], label = _property(name, entry)
        if label is not None:
            labels[name] = label
    return properties, labels


def _max_item_bytes(table: dict[str, Any]) -> int | None:
    limits = _member(table, "limits", dict, {})
    if "max_item_bytes" not in limits:
        return None
    limit = _member(limits, "max_item_bytes", int)
    if limit < 1:
        raise MalformedError("pod.toml: limits.max_item_bytes must be at least 1")
    return cast(int, limit)


def _check_format(table: dict[str, Any]) -> None:
    found = _member(table, "format", int, POD_FORMAT)
    if found > POD_FORMAT:
        raise FormatTooNewError("pod.toml: it is of a later format; update shared-pod")
    if found != POD_FORMAT:
        raise MalformedError(f"pod.toml: format {POD_FORMAT} was expected")


def parse_pod_toml(unverified: bytes) -> PodConfig:
    """Read pod.toml's bytes.

    Unknown members are ignored, so that an older program reads a newer file.

    Raises:
        FormatTooNewError: Of a later format.
        MalformedError: Not TOML, larger than 1 MiB, or a member of the wrong
            type; the message names the member.
    """
    if len(unverified) > MAX_POD_TOML_BYTES:
        raise MalformedError("pod.toml: at most 1 MiB was expected")
    try:
        table = tomllib.loads(unverified.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MalformedError("pod.toml: it is not a TOML file") from exc
    _check_format(table)
    properties, labels = _properties(table)
    return PodConfig(
        owner_key=_owner_key(table),
        name=_name(table),
        url=_url(table),
        policy=_policy(table),
        properties=properties,
        labels=labels,
        max_item_bytes=_max_item_bytes(table),
    )


def parse_hex_line(content: bytes, what: str) -> str:
    """Read a file that is one line of text: the line, without its newline.

    Raises:
        MalformedError: Not ASCII, or not exactly one line.
    """
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError(f"{what}: one line of ASCII was expected") from exc
    line = text.removesuffix("\n")
    if "\n" in line or "\r" in line:
        raise MalformedError(f"{what}: exactly one line was expected")
    return line


def load_log_key(folder: PodFolder) -> LogKey:
    """Read log.key: 64 hexadecimal digits and a newline.

    Raises:
        MissingError: There is none; this folder is a snapshot or another machine's.
        MalformedError: It holds anything else.
        StorageError: It cannot be read.
    """
    return LogKey.from_hex(parse_hex_line(read_file(folder.log_key, 100), "log.key"))
