"""The second address: measures and probes, for this machine only, that name nobody."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest.measures import Histogram, Measures
from ingest.messages import Committed
from ingest.probes import MOST_CONNECTIONS, MOST_HEAD_BYTES
from ingest.settings import LocalAddress, parse_local_address
from tests.support.pods import TestPod
from tests.support.raw_http import begin, post, read_all
from tests.support.server import envelope, run_server, serving
from tests.support.waiting import eventually
from vault.errors import MalformedError
from vault.judging import Outcome
from vault.submissions import Answer


def _samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Name and label values to value, as Prometheus' own reader finds them."""
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def _over_socket(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_what_was_done_is_counted_and_names_nobody(pod: TestPod) -> None:
    """Two stored, one stored again, one refused: by status, by batch, by the log's digest of the owner."""
    invite = pod.invite("secret-team")
    key = invite.database_key.reveal().hex()
    with serving(pod.folder.path, options=["--metrics", "127.0.0.1:0", "--log-requests"]) as server:
        for name in ("canary-a", "canary-b", "canary-b"):
            assert server.create_item(pod.owner, key, {"type": "Note", "id": name}).status == 200
        assert server.create_item(pod.owner, "0" * 64, {"type": "Note"}).status == 403
        answer = server.probe("/metrics")
        digest = server.wait_for("request")["owner"]

    text, samples = answer.body.decode(), _samples(answer.body)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert samples["shared_pod_requests_total", "200"] == 3
    assert samples["shared_pod_requests_total", "403"] == 1
    assert samples["shared_pod_batch_items_count",] == 3
    assert samples["shared_pod_batch_items_bucket", "1.0"] == 3
    assert samples["shared_pod_sync_seconds_count",] == 2
    assert 0 < samples["shared_pod_sync_seconds_sum",] < samples["shared_pod_batch_seconds_sum",]
    assert samples["shared_pod_stored_items_total", digest] == 2
    assert samples["shared_pod_vault_bytes", digest] > 4096
    assert samples["shared_pod_queue_items",] == samples["shared_pod_queue_bytes",] == 0
    assert samples["shared_pod_writer_running",] == 1
    secrets = (pod.owner, key, pod.policy.pod_id.hex(), "canary", "secret-team", str(pod.home.parent))
    assert [secret for secret in secrets if secret in text] == []


def test_floods_are_seen(pod: TestPod) -> None:
    """What waits and what was ended, in numbers."""
    options = ["--metrics", "127.0.0.1:0", "--throttle", "0.1", "--max-connections", "64"]
    with serving(pod.folder.path, options=options) as server, contextlib.ExitStack() as closing:
        for _ in range(4):
            asking = closing.enter_context(server.connect())
            asking.sendall(b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(
            lambda: _samples(server.probe("/metrics").body)["shared_pod_waiting_answers",] == 3, 3
        )
        for _ in range(60):
            closing.enter_context(server.connect())
        ended = server.wait_for("connections_ended")["connections"]
        samples = _samples(server.probe("/metrics").body)

    assert samples["shared_pod_ended_connections_total",] >= ended


def test_failures_are_counted(pod: TestPod) -> None:
    """A pod whose policy does not verify: nobody is let in, and whoever watches sees it."""
    pod.folder.pod_toml.write_text(pod.folder.pod_toml.read_text() + "# by hand\n")
    with serving(pod.folder.path, options=["--metrics", "127.0.0.1:0"]) as server:
        server.wait_for("policy_refused")
        samples = _samples(server.probe("/metrics").body)
        ready = server.probe("/ready")

    assert samples["shared_pod_failures_total", "policy_refused"] == 1
    assert samples["shared_pod_pods",] == 0
    assert samples["shared_pod_unusable_pods",] == 1
    assert (ready.status, ready.body) == (503, b"no pod can be asked; the log says why\n")


def test_probes_answer_and_nothing_else_does(pod: TestPod) -> None:
    """Alive, ready; no other path, no other method, no name of another machine."""
    with serving(pod.folder.path, options=["--metrics", "localhost:0"]) as server:
        assert server.probe("/live").body == b"live\n"
        assert server.probe("/ready").body == b"ready\n"
        assert server.probe("/ready?now").status == 200
        assert server.probe("/").status == 404
        assert server.probe("/version").status == 404
        assert server.probe("/metrics", method="POST").status == 405
        assert server.probe("/metrics", host="pod.example.org").status == 400
        assert server.probe("/metrics", host="[::1]").status == 400
        assert server.probe("/metrics", host="127.0.0.1:80").status == 200


def test_a_stopping_server_is_alive_and_not_ready(pod: TestPod) -> None:
    """From the signal on, while a body that was on its way is still received and answered."""
    key = pod.invite().database_key.reveal().hex()
    body = envelope(key, {"type": "Note"})
    request = post(f"/v4/{pod.owner}/create_item", body, b"Expect: 100-continue")
    with (
        serving(pod.folder.path, options=["--metrics", "127.0.0.1:0"]) as server,
        contextlib.closing(server.connect()) as connection,
    ):
        assert server.probe("/ready").status == 200
        begin(connection, request[:-20])
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: server.probe("/ready").status == 503)
        stopping, live = server.probe("/ready"), server.probe("/live")
        connection.sendall(request[-20:])
        answer = read_all(connection)
        assert server.process.wait(60) == 0

    assert (stopping.status, stopping.body) == (503, b"not listening: it starts or stops\n")
    assert live.status == 200
    assert answer.statuses == [200]


@pytest.mark.parametrize("options", [[], ["--metrics", "127.0.0.1:0"]])
def test_the_public_port_has_no_metrics(pod: TestPod, options: list[str]) -> None:
    """With them or without: the public door has two calls."""
    with serving(pod.folder.path, options=options) as server:
        assert [server.request("GET", path).status for path in ("/metrics", "/live", "/ready")] == [404] * 3
        assert any(line["event"] == "metrics" for line in server.events) is bool(options)


def test_a_socket_of_ones_own(pod: TestPod, tmp_path: Path) -> None:
    """Nobody else on the machine may ask; a killed server's socket is replaced, a stopped one's is gone."""
    path = tmp_path / "metrics.sock"
    options = ["--metrics", f"unix:{path}"]
    with serving(pod.folder.path, options=options) as server:
        server.wait_for("metrics")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        server.kill()
        assert path.is_socket()
    with serving(pod.folder.path, options=options) as server:
        server.wait_for("metrics")
        assert b"\r\n\r\nready\n" in _over_socket(path, b"GET /ready HTTP/1.1\r\n\r\n")
        assert str(tmp_path) not in server.log
        assert server.stop() == 0
    assert not path.exists()


def test_a_file_is_never_replaced_by_a_socket(pod: TestPod, tmp_path: Path) -> None:
    """A mistyped path must not cost a file; the server ends and says why."""
    path = tmp_path / "mine"
    path.write_text("kept")
    ended = run_server("--port", "0", "--metrics", f"unix:{path}", pod.folder.path)
    assert ended.returncode == 1
    assert "--metrics: cannot listen there" in ended.stderr
    assert path.read_text() == "kept"


def test_a_port_in_use_is_said_at_once(pod: TestPod) -> None:
    """Before a worker starts that would die of it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run_server("--port", "0", "--metrics", address, pod.folder.path)
    assert ended.returncode == 1
    assert "cannot listen at 127.0.0.1 port" in ended.stderr


def test_hostile_questions_cost_nothing(pod: TestPod, tmp_path: Path) -> None:
    """Endless heads, no heads, no text, and more connections than there are keepers."""
    path = tmp_path / "metrics.sock"
    with serving(pod.folder.path, options=["--metrics", f"unix:{path}"]) as server:
        server.wait_for("metrics")
        assert _over_socket(path, b"GET /" + b"x" * 3 * MOST_HEAD_BYTES) == b""
        assert _over_socket(path, b"\xff\x00\xfe\r\n\r\n").startswith(b"HTTP/1.1 404 ")
        assert _over_socket(path, b"\r\n\r\n").startswith(b"HTTP/1.1 404 ")
        with contextlib.ExitStack() as held:
            for _ in range(MOST_CONNECTIONS):
                connection = held.enter_context(socket.socket(socket.AF_UNIX))
                connection.connect(str(path))
            time.sleep(0.3)
            with contextlib.suppress(ConnectionError):
                assert _over_socket(path, b"GET /live HTTP/1.1\r\n\r\n") == b""
            assert server.request("GET", "/version").status == 200
        deadline = time.monotonic() + 60
        while b"live" not in _over_socket(path, b"GET /live HTTP/1.1\r\n\r\n"):
            assert time.monotonic() < deadline
        assert not any(line["event"] == "probe_failed" for line in server.events)


def test_a_slow_question_is_given_up(pod: TestPod, tmp_path: Path) -> None:
    """Five seconds, whatever drips."""
    path = tmp_path / "metrics.sock"
    with serving(pod.folder.path, options=["--metrics", f"unix:{path}"]) as server:
        server.wait_for("metrics")
        began = time.monotonic()
        assert _over_socket(path, b"GET /live HTTP/1.1\r\n") == b""
        assert 4 < time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9464", LocalAddress("127.0.0.1", 9464)),
        ("127.8.9.1:0", LocalAddress("127.8.9.1", 0)),
        ("localhost:1", LocalAddress("127.0.0.1", 1)),
        ("9464", LocalAddress("127.0.0.1", 9464)),
        ("[::1]:9464", LocalAddress("::1", 9464)),
        ("unix:/run/x.sock", LocalAddress(path=Path("/run/x.sock"))),
    ],
)
def test_local_addresses_are_read(text: str, address: LocalAddress) -> None:
    """Loopback in both families, or a socket."""
    assert parse_local_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0:9464", "[::]:9464", "192.168.1.2:9464", "pod.example.org:9464", "[::ffff:192.0.2.1]:1"),
        *("127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:", "127.0.0.1:\u0663", "unix:", ":", ""),
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    """What another machine could reach, and what is no address."""
    with pytest.raises(MalformedError, match="only this machine"):
        parse_local_address(text)


def test_a_histogram_counts_in_the_bucket_whose_bound_is_not_exceeded() -> None:
    """A bound is inclusive, as Prometheus' `le` is; the last bucket has none."""
    histogram = Histogram([1.0, 2.0])
    for value in (0.0, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)

    assert histogram.observed.counts == (2, 2, 1)
    assert histogram.observed.total == 13.5


def test_a_retry_is_not_another_item() -> None:
    """What is stored is counted once, and a batch that stored nothing synced nothing."""
    measures, folder = Measures(), Path("pod")
    measures.committed(folder, Committed([Answer(Outcome.STORED, None, None)] * 2, 0.5, 0.25))
    measures.committed(folder, Committed([Answer(Outcome.RETRY, None, None)], 0.5, 0.0))

    assert measures.stored_items[folder] == 2
    assert sum(measures.batch_seconds.observed.counts) == 2
    assert measures.sync_seconds.observed.total == 0.25
