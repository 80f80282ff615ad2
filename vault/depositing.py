"""Depositing: one item decided, sealed, signed and made a segment, with no vault at hand.

What a function does in place of ``vault.store``: the same judgement, sealing
and header, one item a batch. What only a vault knows is decided when the
segment is collected: counted limits, and what a slot declared before. A
policy ``extend`` would need both before the answer, so functions take
``closed`` and ``infer`` alone. Not here: any store, and opening what was
sealed. FORMAT.md, "Segments", "Promises" and "Objects".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from vault.caveats import Usage
from vault.deciding import CLOSED, CONFLICT
from vault.errors import PolicyError
from vault.judging import Outcome, SlotState, Verdict, judge
from vault.keys import FileKey, LogKey
from vault.objects import decode_tags, encode_tags, object_key
from vault.policies import Policy
from vault.promises import Promise, encode_promise, verify_promise
from vault.sealing import Entropy, Plain, seal_batch
from vault.segments import segment_of, write_segment
from vault.submissions import Answer, Submission

FUNCTION_POLICIES = frozenset(("closed", "infer"))
"""What pod.toml may say where functions take items in."""


class Deposit(msgspec.Struct, frozen=True):
    """One item, ready to be put under its key if nothing is there.

    Attributes:
        key: Of the object; follows from the item's name.
        content: The segment's bytes.
        tags: Of the object, put with it in one request.
        promise: The header value of its promise, true once the store has said that it put the object.
    """

    key: str
    content: bytes
    tags: dict[str, str]
    promise: str


def require_functions(policy: Policy, log_public: bytes) -> None:
    """Refuse a policy under which a function cannot take items in; asked once, when it is loaded.

    Args:
        policy: Verified.
        log_public: 32 bytes, the function's own log key.

    Raises:
        PolicyError: Its schema policy is ``extend``, or it does not list the
            key with the kind ``function``: nobody would accept what it signs.
    """
    if policy.config.policy not in FUNCTION_POLICIES:
        raise PolicyError(
            'pod.toml says policy = "extend", which needs a vault at hand; with functions use closed or infer'
        )
    if log_public not in policy.function_logs:
        raise PolicyError("slots.json does not list this function's log key; deploy again with a new policy")


def decide_alone(policy: Policy, submission: Submission, now_ms: int) -> Verdict:
    """Decide one item as far as that is possible without the vault.

    Args:
        policy: Verified; ``require_functions`` accepted it.
        submission: The item, and the slot it came through.
        now_ms: UTC milliseconds.

    Returns:
        STORED: deposit it. REPEATED: 200, and nothing to deposit. Else why not.
    """
    slot = policy.slot_by_number.get(submission.slot.number)
    caveats = slot.caveats_at(now_ms) if slot else None
    if caveats is None:
        return CLOSED
    return judge(policy.config, caveats, SlotState(Usage(), {}), submission.item)


def make_deposit(
    policy: Policy,
    submission: Submission,
    *,
    file_key: FileKey,
    log_key: LogKey,
    now_ms: int,
    entropy: Entropy,
    scratch: Path,
) -> Deposit:
    """Seal and sign one item as a batch of its own, and make a segment of it.

    Every call seals anew: an item whose put has failed without an answer is put
    again with the same deposit, not with another.

    Args:
        policy: The one it was decided under.
        submission: ``decide_alone`` said STORED.
        file_key: From the slot that was opened.
        log_key: The function's own.
        now_ms: UTC milliseconds, the item's received time.
        entropy: Source of randomness.
        scratch: A folder of this process's user; the segment is made there and removed.

    Raises:
        DiskFullError: No space is left in ``scratch``.
        StorageError: The operating system refused.
    """
    plain = Plain(submission.item.canonical, submission.slot.number, submission.salt, submission.c)
    sealed = seal_batch(
        [plain],
        policy.recipients,
        pod_id=policy.pod_id,
        log_public=log_key.public,
        policy=policy.digest,
        ms=now_ms,
        entropy=entropy,
    )
    signature = log_key.sign(sealed.header)
    segment = segment_of(sealed, [submission.name], [submission.c], signature)
    promise = Promise(submission.c, sealed.digests[0], 0, sealed.header, (), signature)
    return Deposit(
        key=object_key(policy.pod_id, submission.name),
        content=write_segment(segment, file_key, scratch),
        tags=encode_tags(promise),
        promise=encode_promise(promise),
    )


def answer_stored(policy: Policy, submission: Submission, tags: Mapping[str, str]) -> Answer:
    """Answer an item under whose key an object stands already, from that object's tags.

    Args:
        policy: The one in force.
        submission: The item.
        tags: Untrusted, as the store has them.

    Returns:
        RETRY with the promise that was given first, whether asked for or not;
        or CONFLICT.

    Raises:
        MalformedError: The tags are not a segment's.
        FormatTooNewError: They are of a later format.
        ForeignPodError: They are another pod's.
        DamagedError: They are not what a function of this pod signed. Nothing
            is known then: not a 200, and not a 409.
    """
    promise = decode_tags(tags)
    verify_promise(promise, pod_id=policy.pod_id, function_keys=policy.function_logs)
    if promise.c != submission.c:
        return Answer(CONFLICT.outcome, CONFLICT.sentence)
    return Answer(Outcome.RETRY, promise=encode_promise(promise))
