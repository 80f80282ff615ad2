"""Withdrawals over HTTP: every answer is the same, whatever became of the item that is meant."""

from __future__ import annotations

from pathlib import Path

from tests.support.pods import TestPod, new_pod
from tests.support.server import Response, Server, serving
from tests.vault.test_erasing import statements_of
from vault.links import Invite


def _send(server: Server, pod: TestPod, invite: Invite, **payload: str) -> Response:
    key = invite.database_key.reveal().hex()
    return server.create_item(pod.owner, key, {"type": "Note"} | payload)


def test_an_answer_never_depends_on_the_target(tmp_path: Path) -> None:
    """There, erased, another slot's, never sent, withdrawn before: 200, the id, and nothing else."""
    pod = new_pod(tmp_path)
    ours, other = pod.invite("ours"), pod.invite("other", types=["Note"])
    targets = {"mine-there": ours, "mine-erased": ours, "their-item": other}
    with serving(pod.folder.path) as server:
        for target, invite in targets.items():
            assert _send(server, pod, invite, id=target, text="x").status == 200
        assert server.stop() == 0
    with pod.writer() as writer:
        writer.erase(pod.policy, statements_of(pod, ["mine-erased"]))
    before = [item.id for item in pod.items()]

    with serving(pod.folder.path) as server:
        for number, target in enumerate([*targets, "never-sent", "mine-there"]):
            withdrawal = f"wish-{number:04}"
            answer = _send(server, pod, ours, type="Withdrawal", id=withdrawal, targetItemId=target)
            assert (answer.status, answer.body) == (200, f'"{withdrawal}"'.encode())
            headers = {name for name in answer.headers if name != "date"}
            assert headers <= {"content-type", "content-length", "server", *_CORS}
        assert (
            _send(server, pod, ours, type="Withdrawal", id="wish-0000", targetItemId="never-sent").status
            == 409
        )
        assert server.stop() == 0
    assert [item.id for item in pod.items()] == [*before, *(f"wish-{number:04}" for number in range(5))]


_CORS = ("access-control-allow-origin", "access-control-expose-headers")


def test_a_used_up_invite_withdraws_and_a_closed_one_does_not(tmp_path: Path) -> None:
    """Limits on what may come do not keep in what came; revocation, expiry and rate are limits on who."""
    pod = new_pod(tmp_path, "closed")
    small = pod.invite("small", types=["Note"], max_items=1, max_bytes=60, max_item_bytes=60)
    revoked, slow = pod.invite("revoked"), pod.invite("slow", rate=(1, 10_000))
    expired = pod.invite("expired", expires=1)
    pod.revoke(revoked)
    wish = {"type": "Withdrawal", "targetItemId": "item-01"}
    with serving(pod.folder.path) as server:
        assert _send(server, pod, small, id="item-01", text="x").status == 200
        assert _send(server, pod, small, id="item-02", text="x").status == 403
        assert _send(server, pod, small, **wish).status == 200
        assert _send(server, pod, small, **wish, key="x" * 100).status == 403
        assert _send(server, pod, small, type="Withdrawal").status == 400
        assert [_send(server, pod, slow, **wish).status for _ in range(2)] == [200, 429]
        assert _send(server, pod, revoked, **wish).status == 403
        assert _send(server, pod, expired, **wish).status == 403
