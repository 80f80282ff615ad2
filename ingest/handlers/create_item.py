"""POST /v4/{owner}/create_item: one item in, its id out.

An item is data: nothing it says is executed, fetched, rendered or followed.
FORMAT.md, "The wire".
"""

from __future__ import annotations

from functools import partial

from ingest.admission import Admission, owner_bytes
from ingest.asgi import Application, Receive, Reply, id_reply
from ingest.door import Call, Door
from ingest.envelope import Payload, decode_envelope, refuse_duplicates
from ingest.problems import ITEM_TOO_LARGE, Problem, Refused, problem_of_answer, problem_of_item
from vault.caveats import is_too_large
from vault.errors import ItemError
from vault.items import Item, parse_item, server_id
from vault.submissions import submit

PATH = "/v4"
RANDOM_ID_BYTES = 10


def _parse(door: Door, admission: Admission, payload: Payload) -> Item:
    tools = door.tools
    try:
        item = parse_item(payload, make_id=lambda: server_id(tools.now_ms(), tools.entropy(RANDOM_ID_BYTES)))
    except ItemError as exc:
        raise Refused(problem_of_item(exc)) from None
    if is_too_large(admission.slot.caveats, admission.pod.policy.config.max_item_bytes, item):
        raise Refused(ITEM_TOO_LARGE)
    return item


async def handle(door: Door, call: Call, receive: Receive) -> Reply:
    """Admit, check and store one item.

    Raises:
        Refused: It was not stored, and why.
    """
    call.owner = owner_bytes(call.unverified_owner)
    body = await door.bodies.read(receive, call.expected_bytes)
    call.body_bytes = len(body)
    envelope = decode_envelope(body)
    admission = door.admit(call, envelope.key)
    refuse_duplicates(body, envelope.payload)
    item = _parse(door, admission, envelope.payload)
    submission = submit(admission.slot, item, wants_receipt=call.wants_receipt)
    settled = await admission.pod.store(admission.slot, submission, len(body))
    if isinstance(settled, Problem):
        raise Refused(settled)
    problem = problem_of_answer(settled)
    if problem:
        raise Refused(problem)
    return id_reply(item.id, settled.receipt, settled.promise)


def create_item_call(door: Door) -> Application:
    """The call as an application: what its route leads to."""
    return partial(door.answer, handle)
