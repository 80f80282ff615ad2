"""An object store on loopback, which enforces rights; and what fails between it and whoever uses it.

The store is moto's server, in a thread of the test. It refuses wrong secrets
and what a role may not do. What it does not do: it compares no hash of a body
with what was signed, and asks for no right of its own to put a tag with an
object. It looks whether there is an object before it puts one, in two steps,
and sets tags in a third; here a lock makes one of them, so that races are lost
by what is tested and not by the store. Where truth about real stores is
wanted, ``store certify`` is run against them (``make test-stores``).
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.session import Session, get_session
from moto import settings
from moto.iam.access_control import S3IAMRequest
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from cloud.store_address import StoreAddress

REGION = "us-east-1"
PREFIX = "pods/"
FUNCTION_RIGHTS = ("s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectTagging")
"""What a function's role may do, below its prefix, and nothing else."""
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>x</Message></Error>"
CONFLICT = b"<?xml version='1.0'?><Error><Code>ConditionalRequestConflict</Code></Error>"


@dataclass(frozen=True)
class Keys:
    """Who asks."""

    access_key: str
    secret_key: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """As a process is given them; nothing else of this machine's configuration is read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass
class Store:
    """A running store, its administrator, and one bucket.

    Attributes:
        endpoint: Its URL.
        admin: May do everything.
        bucket: A bucket of this test alone.
    """

    endpoint: str
    admin: Keys
    bucket: str = ""

    def client(self, service: str = "s3", keys: Keys | None = None) -> Any:
        """A client of botocore's own making, with nothing of the product in it."""
        keys = keys or self.admin
        return _session().create_client(
            service,
            REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                # Else it sends bodies in chunks where there is TLS, which old gateways do not take.
                request_checksum_calculation="when_required",
            ),
        )

    def address(self, *endpoints: str, **changes: Any) -> StoreAddress:
        """The address of this store's bucket, through it or through others."""
        return StoreAddress(self.bucket, PREFIX, endpoints or (self.endpoint,), REGION, **changes)

    def role(self, *rights: str) -> Keys:
        """Keys of a new user with these rights below the prefix, and no others."""
        iam = self.client("iam")
        name = f"role-{uuid.uuid4().hex}"
        statement = {
            "Effect": "Allow",
            "Action": list(rights or FUNCTION_RIGHTS),
            "Resource": f"arn:aws:s3:::{self.bucket}/{PREFIX}*",
        }
        return _user(iam, name, {"Version": "2012-10-17", "Statement": [statement]})

    def keys_of_objects(self) -> list[str]:
        """Every key in the bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def content(self, key: str) -> bytes:
        """An object's bytes."""
        body: bytes = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def tags(self, key: str) -> dict[str, str]:
        """An object's tags."""
        found = self.client().get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return {entry["Key"]: entry["Value"] for entry in found}


@functools.cache
def _session() -> Session:
    """One for all of them: each would read the descriptions of its services again."""
    return get_session()


def _at_once(method: Callable[[Any], Any], lock: threading.Lock) -> Callable[[Any], Any]:
    def locked(response: Any) -> Any:
        with lock:
            return method(response)

    return locked


def _user(iam: Any, name: str, policy: Mapping[str, Any]) -> Keys:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all-it-has", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(made["AccessKeyId"], made["SecretAccessKey"])


def _refusing_unsigned(make: Callable[..., None]) -> Callable[..., None]:
    """Refuse requests that nobody signed; the library answers 500."""

    def refuse(request: S3IAMRequest, *arguments: Any, **named: Any) -> None:
        if "Authorization" not in named["headers"]:
            raise S3AccessDeniedError
        make(request, *arguments, **named)

    return refuse


@contextlib.contextmanager
def running_store(port: int = 0) -> Iterator[Store]:
    """Start a store that enforces rights from then on; 0 takes a free port."""
    server = ThreadedMotoServer("127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        store = Store(f"http://{host}:{port}", Keys("first", "first"))
        everything = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        iam = store.client("iam")
        store.admin = _user(iam, f"admin-{uuid.uuid4().hex}", everything)
        with pytest.MonkeyPatch.context() as patch:
            # All that its decorator set_initial_no_auth_action_count(0) does: from now on every right counts.
            patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
            lock = threading.Lock()
            for name in ("put_object", "get_object_tagging"):
                patch.setattr(S3Response, name, _at_once(getattr(S3Response, name), lock))
            patch.setattr(S3IAMRequest, "__init__", _refusing_unsigned(S3IAMRequest.__init__))
            yield store
    finally:
        server.stop()


def new_bucket(store: Store) -> Store:
    """The same store, with an empty bucket of the test's own."""
    mine = Store(store.endpoint, store.admin, f"bucket-{uuid.uuid4().hex[:12]}")
    mine.client().create_bucket(Bucket=mine.bucket)
    return mine


Fault = Callable[["Passing"], None]


class Passing(BaseHTTPRequestHandler):
    """One request on its way to the store."""

    protocol_version = "HTTP/1.1"
    server: Between

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Say nothing."""

    def _pass(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        fault = self.server.next_fault(self)
        if fault:
            fault(self)
        else:
            self.give(*self.forward())

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815  # the library's names

    def forward(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Have the store carry it out; its answer."""
        where = urlsplit(self.server.target)
        with contextlib.closing(
            http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
        ) as store:
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                store.putheader(name, value)
            store.endheaders(self.body)
            answer = store.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def give(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer."""
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"content-length", "connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True


def slow_down(passing: Passing) -> None:
    """503, and nothing was done."""
    passing.give(503, [], SLOW_DOWN)


def conflict(passing: Passing) -> None:
    """409, raced by a deletion; nothing was done."""
    passing.give(409, [], CONFLICT)


def lost(passing: Passing) -> None:
    """The store does it, and its answer is lost."""
    passing.forward()
    passing.cut()


def headless(passing: Passing) -> None:
    """The store does it, and its answer ends among its headers."""
    status, _, _ = passing.forward()
    passing.wfile.write(b"HTTP/1.1 %d X\r\nx-amz-request-id: 1\r\n" % status)
    passing.cut()


def refused(passing: Passing) -> None:
    """The connection ends before the store hears of it."""
    passing.cut()


def done_and_slow_down(passing: Passing) -> None:
    """The store does it, and something on the way says 503."""
    passing.forward()
    passing.give(503, [], SLOW_DOWN)


class Between(ThreadingHTTPServer):
    """Stands between a store and whoever asks it.

    Args:
        target: The store's endpoint.

    Attributes:
        faults: Met in their order, each by the next request if that is of its method.
        always: What every other request meets.
        passed: The methods of all requests.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.target = target
        self.faults: list[tuple[str, Fault]] = []
        self.always: Fault | None = None
        self.passed: list[str] = []
        self._lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed."""

    def next_fault(self, passing: Passing) -> Fault | None:
        """Take the next fault if it is of this request's method."""
        with self._lock:
            self.passed.append(passing.command)
            if self.faults and self.faults[0][0] == passing.command:
                return self.faults.pop(0)[1]
            return self.always

    @property
    def endpoint(self) -> str:
        """Where to ask in place of the store."""
        return f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def between(target: str) -> Iterator[Between]:
    """Stand between a store and whoever asks it; ``faults`` are met in their order."""
    server = Between(target)
    with standing(server):
        yield server


@contextlib.contextmanager
def standing(server: Between) -> Iterator[None]:
    """Have it serve for the length of a ``with`` block."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
