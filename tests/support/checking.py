"""What a check says of a pod; and items erased by hand."""

from __future__ import annotations

from tests.support.pods import TestPod
from vault.checking import Report, check_vault
from vault.encoding import pae
from vault.erasures import erasure_bytes
from vault.header import parse_header
from vault.opening import Identity

STRANGER = Identity(bytes(range(32)))


def findings(pod: TestPod) -> set[str]:
    """What a check says."""
    return set(pod.check().findings)


def closed(pod: TestPod) -> Report:
    """A check that leaves items closed."""
    with pod.reader() as reader:
        return check_vault(reader, lambda _: None, is_opening=False)


def erase(pod: TestPod, seq: int, *, signer: Identity, said: int | None = None) -> None:
    """Erase one item of batch 1, by a statement about item ``said`` (itself if None)."""
    with pod.forging() as vault:
        ((header,),) = vault.execute("SELECT header FROM batch WHERE batch = 1").fetchall()
        ((digest,),) = vault.execute("SELECT digest FROM item WHERE seq = ?", (said or seq,)).fetchall()
        signed = erasure_bytes(parse_header(header), (said or seq) - 1, digest, pod.clock())
        statement = pae(signed, signer.signer, signer.sign(signed))
        vault.execute("INSERT INTO erasure VALUES (?, ?)", (seq, statement))
        vault.execute("UPDATE item SET sealed = NULL WHERE seq = ?", (seq,))
