"""Getting an identity from shares: out of files, or typed unseen, one after the other.

Each is looked at when it comes: a typing error is found before the next one is
asked for, and in a terminal it can be typed again. Nothing is tried until all
that are needed are there. FORMAT.md, "Recovery shares".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from maintainer_tools.asking import ask_line
from maintainer_tools.console import clean, say
from maintainer_tools.naming import naming
from maintainer_tools.share_sheets import MAX_SHEET_BYTES, Sheet, parse_sheet
from maintainer_tools.shares import WORDS, join, require_fits
from vault.errors import ForeignPodError, MalformedError, PolicyError, VaultError, WrongKeyError
from vault.files import read_file
from vault.keys import PodId
from vault.opening import Identity
from vault.pod import PodFolder
from vault.policies import Policy, check_signer, load_policy
from vault.reader import file_key_of


class Given(msgspec.Struct, frozen=True):
    """What shares made, proven to open the pod.

    Attributes:
        identity: The identity that they are of.
        policy: The pod's, signed by one it trusts.
        set: The two words that all shares of the set begin with.
        count: How many were given.
    """

    identity: Identity
    policy: Policy
    set: str
    count: int


def identity_from_shares(pod: PodFolder, files: Sequence[Path]) -> Given:
    """Make the identity of a pod from shares.

    Args:
        pod: What it must open.
        files: A sheet, or the words of one share, each; none to ask for the words.

    Raises:
        CredentialsMissingError: Too few shares, or nobody could be asked.
        ForeignPodError: A sheet is of another pod.
        WrongKeyError: The shares are whole, but of another pod, or of an
            identity that the pod had before.
        MalformedError: A share is not whole, or they are of different sets.
        VaultError: As ``vault.policies.load_policy``.
    """
    policy = load_policy(pod, is_edited=True)
    sheets = _read(files, policy.pod_id) if files else _asked(policy.pod_id)
    identity = join([sheet.share for sheet in sheets])
    _require_opens(policy, identity, pod, is_named=any(sheet.pod_id for sheet in sheets))
    return Given(identity, policy, sheets[0].share.set, len(sheets))


def fitting(text: str, others: Sequence[Sheet], pod_id: PodId) -> Sheet:
    """Read one more share, which goes with the others and is of this pod.

    Args:
        text: Untrusted; a sheet, or the words of one share.
        others: Those before it.
        pod_id: The pod's.

    Raises:
        ForeignPodError: The sheet is of another pod.
        MalformedError: The share is not whole, or of another set.
        FormatTooNewError: It is a sheet of a later version.
    """
    sheet = parse_sheet(text)
    if sheet.pod_id is not None and sheet.pod_id != pod_id:
        raise ForeignPodError(f"this share is of another pod, whose id begins {sheet.pod_id.hex()[:16]}")
    require_fits(sheet.share, [other.share for other in others])
    return sheet


def _require_opens(policy: Policy, identity: Identity, pod: PodFolder, *, is_named: bool) -> None:
    try:
        check_signer(policy, identity.signer)
        file_key_of(policy, identity)
    except (PolicyError, WrongKeyError) as exc:
        whose = (
            "an identity this pod had before" if is_named else "another pod, or of an identity it had before"
        )
        raise WrongKeyError(
            f"the shares belong together, but what they make does not open {pod.path}: they are of {whose}. "
            "Look for sheets with another date, or for a copy of the pod as old as these"
        ) from exc


def _read(files: Sequence[Path], pod_id: PodId) -> list[Sheet]:
    sheets: list[Sheet] = []
    for path in files:
        with naming(path):
            sheets.append(fitting(_text_of(path), sheets, pod_id))
    return sheets


def _asked(pod_id: PodId) -> list[Sheet]:
    sheets: list[Sheet] = []
    while not sheets or len(sheets) < sheets[0].share.needs:
        of = f" of {sheets[0].share.needs}" if sheets else ""
        sheets.append(_ask_one(f"Share {len(sheets) + 1}{of}, its {WORDS} words", sheets, pod_id))
    return sheets


def _ask_one(prompt: str, others: Sequence[Sheet], pod_id: PodId) -> Sheet:
    while True:
        typed = ask_line(prompt)
        try:
            return fitting(typed, others, pod_id)
        except VaultError as exc:
            if not sys.stdin.isatty():
                raise
            say(f"{clean(str(exc))}. Once more:")


def _text_of(path: Path) -> str:
    try:
        return read_file(path, MAX_SHEET_BYTES, may_be_pipe=True).decode()
    except UnicodeDecodeError as exc:
        raise MalformedError("a sheet with a share, or its words, in UTF-8 were expected") from exc
