"""A systemd unit for a server: least rights, an orderly stop, started again when it dies.

What the unit takes away is what the server was seen not to need; the folders of
its pods are all it may write, and an identity that lies beside one is out of
its sight. A server that puts items into a store writes nothing at all, and has
its secrets as credentials of systemd: in no file of its user, in no argument
and no variable. systemd.exec(5), systemd.service(5), systemd.kill(5).
"""

from __future__ import annotations

import pwd
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from maintainer_tools.ground import is_loopback
from maintainer_tools.object_stores import WayOut
from vault.errors import MalformedError
from vault.founding import IDENTITY_FILE
from vault.pod import PodFolder

STOP_SECONDS = 45
"""Beyond the body deadline: the server takes up to 30 s itself; systemd must not be faster."""
DEFAULT_BODY_SECONDS = 10.0
STORE_KEYS = "/etc/shared-pod/store.credentials"
"""A gateway's keys to its store, in the form of ``~/.aws/credentials``; systemd reads it, as root."""
_GIVEN = "%d/"
"""systemd.unit(5): the folder of the unit's credentials."""
_HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))

_HARDENING = """\
# What it sees are keys in flight: not on disk, in a dump, or for another process to look at.
UMask=0077
LimitCORE=0
MemorySwapMax=0
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
KeyringMode=private
ProtectProc=invisible
ProcSubset=pid
# No rights beyond its user's, and no way to more.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
PrivateUsers=yes
RemoveIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
"""


def unit_of(
    pods: Sequence[Path],
    arguments: Sequence[str],
    *,
    host: str,
    body_seconds: float,
    way_out: WayOut | None = None,
) -> str:
    """Write the unit of a server.

    Args:
        pods: The pods' folders, absolute; at least one.
        arguments: Of ``serve``, pods included.
        host: Address it listens at.
        body_seconds: How long a body may take: a stop waits for it.
        way_out: The store that items are put into; None where pods have vaults.

    Raises:
        MalformedError: A path or an argument holds a control character.
    """
    owner = pods[0].stat().st_uid
    lines = [
        "# Put this into /etc/systemd/system/shared-pod.service, then:",
        "#   systemctl daemon-reload && systemctl enable --now shared-pod",
        "[Unit]",
        "Description=Write-only pods",
        "Wants=network-online.target",
        "After=network-online.target",
        f"RequiresMountsFor={_words(map(str, pods))}",
        "",
        "[Service]",
        "Type=exec",
        *_user(owner),
        *_credentials(way_out),
        *_program(arguments, way_out),
        "Restart=on-failure",
        "RestartSec=2",
        "LimitNOFILE=65536",
        "RuntimeDirectory=shared-pod",
        "RuntimeDirectoryMode=0700",
        "# The server answers what it has begun and closes its vaults; its children end with it.",
        "KillMode=mixed",
        f"TimeoutStopSec={round(body_seconds) + STOP_SECONDS}",
        *_writable(pods, way_out),
        f"ProtectHome={_protect_home(pods)}",
        *_out_of_sight(pods, way_out),
        *_loopback_only(host, way_out),
        *_HARDENING.splitlines(),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"


def _user(uid: int) -> Iterator[str]:
    """Who owns the pod: nobody else can write it."""
    if uid == 0:
        yield "# The pod is root's. Give it to a user of its own (docs/deploy.md), and name that one here."
    try:
        yield f"User={pwd.getpwuid(uid).pw_name}"
    except KeyError:
        yield f"User={uid}"


def _credentials(way_out: WayOut | None) -> Iterator[str]:
    """What only systemd reads, and gives to this process alone."""
    if way_out is None:
        return
    kind, _, path = way_out.key_place.partition(":")
    if kind == "file":
        yield f"LoadCredential={_words([f'log-key:{path}'])}"
    yield "# It counts for 90 days: certify again before, or a start is refused after them."
    yield f"LoadCredential={_words([f'verdict:{way_out.verdict}'])}"
    yield "# Its keys to the store. Make the file before, root's and mode 0600:"
    for line in ("[default]", "aws_access_key_id = ...", "aws_secret_access_key = ..."):
        yield f"#   {line}"
    yield f"LoadCredential=store:{STORE_KEYS}"
    yield f"Environment=AWS_SHARED_CREDENTIALS_FILE={_GIVEN}store AWS_EC2_METADATA_DISABLED=true"


def _program(arguments: Sequence[str], way_out: WayOut | None) -> Iterator[str]:
    script = Path(sys.prefix) / "bin" / "shared-pod"
    options = _words(["serve", *arguments], is_command=True)
    if way_out is not None:
        store, key_place = (
            _words([word], is_command=True) for word in (str(way_out.store), way_out.key_place)
        )
        if way_out.key_place.startswith("file:"):
            # The folder's specifier is systemd's to fill in.
            key_place = f"file:{_GIVEN}log-key"
        given = f"--store {store} --log-key {key_place} --verdict {_GIVEN}verdict"
        options = f"serve {given} {_words(arguments, is_command=True)}"
    if script.exists():
        yield f"ExecStart={_words([str(script)], is_command=True)} {options}"
        return
    root = Path(__file__).resolve().parents[1]
    yield f"Environment={_words([f'PYTHONPATH={root}'])}"
    command = [sys.executable, "-P", "-m", "maintainer_tools"]
    yield f"ExecStart={_words(command, is_command=True)} {options}"


def _writable(pods: Sequence[Path], way_out: WayOut | None) -> Iterator[str]:
    if way_out is None:
        yield "# It writes into its pods and nowhere else."
        yield "ProtectSystem=strict"
        yield f"ReadWritePaths={_words(map(str, pods))}"
        return
    yield "# It writes nothing but into its own /tmp, for a moment: each item goes into the store."
    yield "ProtectSystem=strict"


def _protect_home(pods: Sequence[Path]) -> str:
    needed = (*pods, Path(sys.prefix), Path(__file__).resolve())
    return "read-only" if any(path.is_relative_to(home) for path in needed for home in _HOMES) else "yes"


def _out_of_sight(pods: Sequence[Path], way_out: WayOut | None) -> Iterator[str]:
    identities = [pod.parent / IDENTITY_FILE for pod in pods if (pod.parent / IDENTITY_FILE).exists()]
    if identities:
        yield "# This machine has the identity too, which the server never needs."
        yield f"InaccessiblePaths={_words(f'-{path}' for path in identities)}"
    if way_out is not None:
        yield "# It has no vault, and no key of a vault's log."
        others = [path for pod in pods for path in (PodFolder(pod).log_key, PodFolder(pod).vault)]
        yield f"InaccessiblePaths={_words(f'-{path}' for path in others)}"


def _loopback_only(host: str, way_out: WayOut | None) -> Iterator[str]:
    """A server behind a proxy of this machine speaks to nobody else, but to a store elsewhere."""
    ends = way_out.store.endpoints or ("",) if way_out else ()
    if is_loopback(host) and all(is_loopback(urlsplit(end).hostname or "") for end in ends):
        yield "IPAddressDeny=any"
        yield "IPAddressAllow=localhost"


def _words(words: Iterable[str], *, is_command: bool = False) -> str:
    return " ".join(_quoted(word, is_command=is_command) for word in words)


def _quoted(word: str, *, is_command: bool) -> str:
    """One word as systemd reads it: quoted, its specifiers and variables taken literally."""
    if not word.isprintable():
        raise MalformedError("a path with a control character has no place in a unit; give it another name")
    word = word.replace("%", "%%")
    if is_command:
        word = word.replace("$", "$$")
    if any(character in word for character in " \"'\\;"):
        escaped = word.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return word
