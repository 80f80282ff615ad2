"""docs/deploy.md is what works: its unit, its image, its proxies, tried where their programs are."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import pwd
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from cloud.verdicts import Check, Verdict, write_verdict
from maintainer_tools.times import now_ms
from tests.support.certificates import self_signed
from tests.support.deploying import Deployed, deploy
from tests.support.maintaining import run, succeed
from tests.support.pods import TestPod, make_pod, new_pod
from tests.support.ports import free_port
from tests.support.server import ROOT, Response, envelope, serving
from tests.support.stores import new_bucket, running_store

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
NO_EXEC_GAIN = """
import ctypes, os, sys
assert ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""PR_SET_MDWE, which is how a kernel of 6.3 or later does MemoryDenyWriteExecute; an exec keeps it."""
HAS_NO_EXEC_GAIN = "import ctypes, sys; sys.exit(ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) != 1)"
"""PR_GET_MDWE."""


@pytest.fixture
def pod(tmp_path: Path) -> TestPod:
    """A pod of its own."""
    return new_pod(tmp_path)


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed here; install it (Debian: apt-get install {package})")
    return found


def _snippet(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", DEPLOY, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


# The unit


def test_the_unit_is_one_systemd_takes(pod: TestPod, tmp_path: Path) -> None:
    """Verified by systemd itself, and hardly exposed by its own count; odd paths and options included."""
    analyze = _program("systemd-analyze", "systemd")
    odd = make_pod(tmp_path / "a 100% $odd \"pod\\'s; name")
    said = succeed("serve", pod.home, odd.home, "--print-unit", "--metrics", "unix:/run/shared-pod/m.sock")
    unit = tmp_path / "shared-pod.service"
    unit.write_text(said.out)

    verified = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    counted = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert counted.returncode == 0, counted.stdout


def _settings(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_takes_away_what_a_server_does_not_need(pod: TestPod) -> None:
    """The pods to write, the identity out of sight, the stop longer than the longest body."""
    said = succeed("serve", pod.home, "--print-unit", "--body-seconds", "60", "--port", "4040")
    settings = _settings(said.out)

    assert settings["ReadWritePaths"] == [str(pod.folder.path)]
    assert settings["InaccessiblePaths"] == [f"-{pod.home / 'identity'}"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["KillMode"] == ["mixed"]
    assert int(settings["TimeoutStopSec"][0]) > 60 + 30
    assert settings["IPAddressDeny"] == ["any"]
    assert settings["ExecStart"][0].endswith(f"--body-seconds 60.0 -- {pod.folder.path}")
    for name in ("NoNewPrivileges", "MemoryDenyWriteExecute", "PrivateTmp"):
        assert settings[name] == ["yes"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert (settings["UMask"], settings["LimitCORE"]) == (["0077"], ["0"])
    assert said.err == ""


def test_a_public_server_may_speak_to_others(pod: TestPod) -> None:
    """Without a proxy on the machine, loopback alone would serve nobody."""
    (pod.home / "identity").unlink()

    settings = _settings(succeed("serve", pod.home, "--print-unit", "--host", "pod.example.org").out)

    assert "IPAddressDeny" not in settings
    assert "InaccessiblePaths" not in settings


def test_a_program_run_from_its_sources_has_a_unit_too(
    pod: TestPod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, it is found by its path; and a pod of a user without a name by their number."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    if os.getuid() == 0:
        os.chown(pod.folder.path, 54_321, -1)

    settings = _settings(succeed("serve", pod.home, "--print-unit").out)

    assert settings["Environment"] == [f"PYTHONPATH={ROOT}"]
    assert " -P -m maintainer_tools serve " in settings["ExecStart"][0]
    assert settings["User"] == ["54321" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name]


def test_a_name_that_could_end_a_line_is_refused(tmp_path: Path) -> None:
    """A folder's name must not add a line to a file that root installs."""
    pod = make_pod(tmp_path / "x\nExecStartPre=evil")

    ended = run("serve", pod.home, "--print-unit")

    assert ended.code == 25
    assert "control character" in ended.err
    assert ended.out == ""


def test_the_server_runs_without_memory_that_is_written_and_executed(pod: TestPod) -> None:
    """MemoryDenyWriteExecute=yes, as the unit says: nothing in the server makes code at run time."""
    probe = subprocess.run(
        [sys.executable, "-c", NO_EXEC_GAIN, sys.executable, "-c", HAS_NO_EXEC_GAIN],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"Linux {platform.release()} has no PR_SET_MDWE; run this with Linux 6.3 or later")
    key = pod.invite().database_key.reveal().hex()
    prefix = [sys.executable, "-c", NO_EXEC_GAIN]
    with serving(pod.folder.path, options=["--metrics", "127.0.0.1:0"], prefix=prefix) as server:
        assert server.create_item(pod.owner, key, {"type": "Note"}).status == 200
        assert server.stop() == 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Deployed]:
    """A pod whose items a gateway puts into a store."""
    with running_store() as running:
        yield deploy(new_pod(tmp_path, policy="infer"), tmp_path, new_bucket(running))


def _of_a_gateway(site: Deployed, *more: str) -> str:
    """The unit of one, for the pod at home, with its key beside it."""
    made = Verdict(str(site.store.address()), now_ms(), {}, (Check("x", is_passed=True, said=""),))
    write_verdict(Path("store.verdict"), made)
    options = ("--store", str(site.store.address()), "--log-key", f"file:{site.key_file}", *more)
    return succeed("serve", site.pod.home, *options, "--print-unit").out


def test_a_gateways_unit_is_one_systemd_takes(
    site: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As little exposed as a server's."""
    analyze = _program("systemd-analyze", "systemd")
    monkeypatch.chdir(tmp_path)
    unit = tmp_path / "shared-pod.service"
    unit.write_text(_of_a_gateway(site))
    for command in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20", "--no-pager"]):
        done = subprocess.run(
            [analyze, *command, str(unit)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_gateways_unit_holds_no_secret_and_lets_nothing_be_written(
    site: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it must have it gets as credentials; the pod's own log key and vault are out of its sight."""
    monkeypatch.chdir(tmp_path)
    unit = _of_a_gateway(site)
    settings, pod = _settings(unit), site.pod.folder

    assert settings["LoadCredential"] == [
        f"log-key:{site.key_file}",
        f"verdict:{tmp_path / 'store.verdict'}",
        "store:/etc/shared-pod/store.credentials",
    ]
    assert "ReadWritePaths" not in settings
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["InaccessiblePaths"] == [f"-{site.pod.home / 'identity'}", f"-{pod.log_key} -{pod.vault}"]
    assert settings["IPAddressAllow"] == ["localhost"], "the store is on this machine too"
    for secret in (site.function.key.reveal().hex(), site.role.secret_key):
        assert secret not in unit
    server = _settings(succeed("serve", site.pod.home, "--print-unit").out)
    same = set(server) - {"ReadWritePaths", "InaccessiblePaths", "ExecStart"}
    assert {name: settings[name] for name in same} == {name: server[name] for name in same}

    elsewhere = "s3://birds/pods/?endpoint=https://rgw.example.org"
    write_verdict(
        Path("store.verdict"), Verdict(elsewhere, now_ms(), {}, (Check("x", is_passed=True, said=""),))
    )
    options = ("--store", elsewhere, "--log-key", "ssm:/pod/log-key", "--print-unit")
    settings = _settings(succeed("serve", site.pod.home, *options).out)
    assert "IPAddressDeny" not in settings
    assert "--log-key ssm:/pod/log-key --verdict %d/verdict" in settings["ExecStart"][0]
    assert len(settings["LoadCredential"]) == 2


def test_a_gateways_unit_runs_one(site: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command line and its variables, the credentials laid where systemd lays them."""
    monkeypatch.chdir(tmp_path)
    invite, port = site.invite(), free_port()
    settings = _settings(_of_a_gateway(site, "--port", str(port)))
    given = tmp_path / "given"
    given.mkdir()
    for name, _, path in (line.partition(":") for line in settings["LoadCredential"][:2]):
        shutil.copy(path, given / name)
    (given / "store").write_text(
        f"[default]\naws_access_key_id = {site.role.access_key}\n"
        f"aws_secret_access_key = {site.role.secret_key}\n"
    )
    filled = [settings[name][0].replace("%d", str(given)) for name in ("ExecStart", "Environment")]
    words, variables = map(shlex.split, filled)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            words,
            env=dict(word.split("=", 1) for word in variables) | {"PATH": "/usr/bin:/bin"},
            stderr=log,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while '"listening"' not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.closing(connection):
            body = envelope(invite.database_key.reveal().hex(), {"type": "Note", "id": "item-1"})
            connection.request("POST", f"/v4/{site.pod.owner}/create_item", body)
            assert connection.getresponse().status == 200, (tmp_path / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [item["id"] for item in site.items()] == ["item-1"]


# The image


def test_the_image_has_whatever_its_programs_import() -> None:
    """A server with vaults, and one with a store: each of their libraries is locked for it."""
    locked = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE)
    names = {"granian", "uvloop", "prometheus_client"}
    # What measures the tests would be imported too.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    for module in ("ingest.__main__", "ingest.gateway", "ingest.exposition", "maintainer_tools.cli"):
        program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
        names |= set(
            subprocess.run(
                [sys.executable, "-c", program],
                cwd=ROOT,
                env=unmeasured,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout.split()
        )
    sources = packages_distributions()
    needed = {
        re.sub(r"[-_.]+", "-", source).lower()
        for name in names - set(sys.stdlib_module_names)
        for source in sources.get(name, [])
    }
    assert {"botocore", "granian", "litestar", "sqlcipher3"} <= needed
    assert needed - set(locked) == {"shared-pod"}


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="ascii").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_runs_as_nobody_and_is_asked_whether_it_is_ready() -> None:
    """A user with no name and no rights; exec forms, so that a stop reaches the server itself."""
    instructions = _instructions()
    last = instructions[max(at for at, (word, _) in enumerate(instructions) if word == "FROM") :]
    given = dict(last)

    assert given["USER"] == "10001:10001"
    assert json.loads(given["ENTRYPOINT"])[:2] == ["/app/bin/shared-pod", "serve"]
    assert json.loads(given["CMD"]) == ["/pods"]
    assert given["STOPSIGNAL"] == "SIGTERM"
    assert "/ready" in given["HEALTHCHECK"]
    assert json.loads(given["HEALTHCHECK"].partition("CMD ")[2])
    assert [word for word, _ in last if word in {"RUN", "ADD", "VOLUME"}] == []
    assert all(json.loads(rest) for word, rest in instructions if word == "RUN")


def test_the_image_holds_the_program_and_nothing_else() -> None:
    """Pinned by hash; from a list of what may go in, so that no pod beside the sources does."""
    copied = [rest.split() for word, rest in _instructions() if word == "COPY" and "--from" not in rest]
    sources = {source for words in copied for source in words[:-1]}
    ignored = (ROOT / ".dockerignore").read_text(encoding="ascii").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}

    assert ignored[1] == "*"
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)
    assert any("--require-hashes" in rest for word, rest in _instructions() if word == "RUN")
    assert not {word for word, _ in _instructions()} & {"ARG", "ADD", "SECRET"}


def test_what_the_image_starts_serves_a_folder_of_pods(tmp_path: Path) -> None:
    """The entry point's own words, with another port, and its own question whether it is well."""
    (tmp_path / "pods").mkdir()
    make_pod(tmp_path / "pods" / "birds")
    given = dict(_instructions())
    entry, public, probes = json.loads(given["ENTRYPOINT"])[1:], free_port(), free_port()
    words = [word.replace("9464", str(probes)) for word in entry]
    started = subprocess.Popen(
        [sys.executable, "-m", "maintainer_tools", *words, "--port", str(public), str(tmp_path / "pods")],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    question = json.loads(given["HEALTHCHECK"].partition("CMD ")[2])
    asked = [sys.executable, *(word.replace("9464", str(probes)) for word in question[1:])]
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode:
            assert started.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 0
    assert subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode == 1


# Proxies


class _Echo:
    """An upstream that keeps what it was sent, and answers an empty 200."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    self.requests.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._listening.close()


@contextlib.contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, (folder / "proxy.log").read_text()
            assert time.monotonic() < deadline, (folder / "proxy.log").read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


FORWARDING = {
    "caddy": ("header_up -X-Forwarded-For", "header_up X-Forwarded-For {remote_host}"),
    "nginx": ('proxy_set_header X-Forwarded-For "";', "proxy_set_header X-Forwarded-For $remote_addr;"),
}
"""The line of each snippet that drops the client's address, and the one that the page names instead."""


def _lines(name: str, *, is_forwarding: bool) -> str:
    text, (dropping, forwarding) = _snippet(name), FORWARDING[name]
    assert dropping in text
    assert f"`{forwarding}`" in DEPLOY
    return text.replace(dropping, forwarding) if is_forwarding else text


@contextlib.contextmanager
def _caddy(folder: Path, port: int, upstream: int, *, is_forwarding: bool = False) -> Iterator[None]:
    program, pem = _program("caddy", "caddy"), self_signed(folder / "both.pem")
    text = _lines("caddy", is_forwarding=is_forwarding).replace("127.0.0.1:3030", f"127.0.0.1:{upstream}")
    # Its own certificate needs the internet; and any free port in place of 443.
    text = text.replace("pod.example.org {", f"https://localhost:{port} {{\n\ttls {pem} {pem}\n")
    (folder / "Caddyfile").write_text(text.replace("admin off", "admin off\n\tauto_https disable_redirects"))
    with _running([program, "run", "--config", str(folder / "Caddyfile")], folder, port):
        yield


@contextlib.contextmanager
def _nginx(folder: Path, port: int, upstream: int, *, is_forwarding: bool = False) -> Iterator[None]:
    program, pem = _program("nginx", "nginx"), self_signed(folder / "both.pem")
    text = _lines("nginx", is_forwarding=is_forwarding).replace("127.0.0.1:3030", f"127.0.0.1:{upstream}")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = re.sub(r"(ssl_certificate(?:_key)?) [^;]+;", rf"\1 {pem};", text)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\nerror_log stderr warn;\npid {folder}/pid;\n"
        f"events {{}}\nhttp {{\n{places}{text}}}\n"
    )
    with _running([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], folder, port):
        yield


PROXIES = {"caddy": _caddy, "nginx": _nginx}


def _ask(port: int, method: str, path: str, body: bytes | None = None) -> Response:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", port, timeout=30, context=trusting)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, headers, answer.read())


@pytest.mark.parametrize("name", PROXIES)
def test_items_go_through_the_proxy_and_large_bodies_do_not(name: str, pod: TestPod, tmp_path: Path) -> None:
    """TLS outside, the two calls, CORS and receipts inside; what is too large ends at the edge."""
    key, port = pod.invite().database_key.reveal().hex(), free_port()
    path = f"/v4/{pod.owner}/create_item"
    large = envelope(key, {"type": "Note", "text": "x" * 900_000})
    with serving(pod.folder.path) as server, PROXIES[name](tmp_path, port, server.port):
        assert _ask(port, "GET", "/version").json["service"] == "shared-pod"
        stored = _ask(port, "POST", path, envelope(key, {"type": "Note", "id": "through"}))
        assert (stored.status, stored.headers["access-control-allow-origin"]) == (200, "*")
        assert _ask(port, "OPTIONS", path).status == 204
        assert _ask(port, "POST", path, large).status == 200
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert _ask(port, "POST", path, b"x" * (3 << 20)).status == 413
        assert _ask(port, "GET", "/metrics").status == 404
        assert not any(line.get("status") == 500 for line in server.events)
    assert "through" in [item.id for item in pod.items()]
    # nginx warns of each body that it writes to a file, in clear.
    assert "temporary file" not in (tmp_path / "proxy.log").read_text()


@pytest.mark.parametrize("name", PROXIES)
def test_no_address_of_a_client_is_passed_on(name: str, tmp_path: Path) -> None:
    """Neither the real one nor the one a client claims."""
    port, echo = free_port(), _Echo()
    with PROXIES[name](tmp_path, port, echo.port):
        assert _ask(port, "POST", "/v4/x/create_item", b"{}").status == 200
    echo.close()

    request = b"".join(echo.requests).lower()
    assert b"post /v4/x/create_item" in request
    assert b"203.0.113.9" not in request.replace(b"x-real-ip: 203.0.113.9", b"" if name == "caddy" else b"!")
    assert not re.search(rb"\r\n(x-forwarded-for|forwarded): *\S", request)


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_that_is_to_be_trusted_names_the_client_and_nobody_else(name: str, tmp_path: Path) -> None:
    """In one header, once; what the client claims of itself is gone."""
    port, echo = free_port(), _Echo()
    with PROXIES[name](tmp_path, port, echo.port, is_forwarding=True):
        assert _ask(port, "POST", "/v4/x/create_item", b"{}").status == 200
    echo.close()

    heads = b"".join(echo.requests).lower().partition(b"\r\n\r\n")[0].split(b"\r\n")
    named = [head for head in heads if head.startswith((b"x-forwarded-for:", b"forwarded:"))]
    assert named in ([b"x-forwarded-for: 127.0.0.1"], [b"x-forwarded-for: ::1"])
