"""Load for a local server: wrk where it is installed, else a small asyncio client.

Sends one body again and again, or one a new id stands in each time, over a fixed
number of kept connections to 127.0.0.1, for a fixed time, and reports what came
back.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Literal, NamedTuple

from vault.items import server_id

HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}Content-Length: {size}\r\n\r\n"
ID_MARK = b"00000000000000000000000000000000"
"""Stands in a body where each request has an id of its own."""
_LUA = """
local file = io.open("{content}", "rb")
local body = file:read("*a")
file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
{headers}
wrk.body = body
"""
_LUA_IDS = """
local at = body:find("{mark}", 1, true)
local before, after = body:sub(1, at - 1), body:sub(at + 32)
local count = 0
math.randomseed({seed})
local function bits() return math.random(0, 0xfffffff) end
local function random_id()
  return string.format("%07x%07x%07x%07x%04x", bits(), bits(), bits(), bits(), math.random(0, 0xffff))
end
local function ordered_id()
  count = count + 1
  return string.format("%012x7%03x8%07x%08x", {ms} + count, bits() % 4096, bits(), count)
end
request = function() return wrk.format(nil, nil, nil, before .. {ids}_id() .. after) end
"""
_LATENCY = re.compile(r"^\s+(50|99)%\s+([0-9.]+)(us|ms|s|m) *$", re.MULTILINE)
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


class Shape(NamedTuple):
    """What is asked beside the body.

    Attributes:
        wants_receipt: Whether every request asks for a receipt.
        ids: Whether a client's id stands in place of ``ID_MARK``, and of which kind.
    """

    wants_receipt: bool = False
    ids: Literal["none", "random", "ordered"] = "none"


PLAIN = Shape()


class Load(NamedTuple):
    """What one run of load measured.

    Attributes:
        accepted: Answers with a 2xx status.
        refused: All other answers.
        seconds: How long it ran.
        p50_ms: Median latency.
        p99_ms: 99th percentile of latency.
    """

    accepted: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Accepted requests a second."""
        return self.accepted / self.seconds


def generator() -> str:
    """The name of the load generator that will be used."""
    return "wrk" if shutil.which("wrk") else "asyncio"


def run(port: int, path: str, body: bytes, *, connections: int, seconds: int, shape: Shape = PLAIN) -> Load:
    """Send ``body`` to ``path`` over ``connections`` connections for ``seconds``."""
    if generator() == "wrk":
        return _run_wrk(f"http://127.0.0.1:{port}{path}", body, connections, seconds, shape)
    return asyncio.run(_run_asyncio(port, path, body, connections, seconds, shape))


def _script(content: Path, shape: Shape) -> str:
    headers = 'wrk.headers["Pod-Receipt"] = "1"' if shape.wants_receipt else ""
    script = _LUA.format(content=content, headers=headers)
    if shape.ids == "none":
        return script
    now_ms = time.time_ns() // 1_000_000
    # Two runs share no id: each begins at its own time and seed.
    return script + _LUA_IDS.format(mark=ID_MARK.decode(), ids=shape.ids, ms=now_ms, seed=now_ms % 2**31)


def _run_wrk(url: str, body: bytes, connections: int, seconds: int, shape: Shape) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder, "post.lua"), Path(folder, "body")
        content.write_bytes(body)
        script.write_text(_script(content, shape))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"-s{script}"]
        done = subprocess.run([*command, url], capture_output=True, text=True, check=True)
    return _read_wrk(done.stdout)


def _read_wrk(text: str) -> Load:
    total = re.search(r"(\d+) requests in ([0-9.]+)(s|m)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if total is None:
        raise ValueError(f"wrk printed something else than its summary:\n{text}")
    bad = int(refused[1]) if refused else 0
    seconds = float(total[2]) * (60 if total[3] == "m" else 1)
    latency = {percent: float(value) * _UNITS[unit] for percent, value, unit in _LATENCY.findall(text)}
    # Where nothing was answered in time there is no latency.
    p50_ms, p99_ms = (latency.get(percent, math.nan) for percent in ("50", "99"))
    return Load(int(total[1]) - bad, bad, seconds, p50_ms, p99_ms)


async def _run_asyncio(
    port: int, path: str, body: bytes, connections: int, seconds: int, shape: Shape
) -> Load:
    more = "Pod-Receipt: 1\r\n" if shape.wants_receipt else ""
    request = HEAD.format(path=path, size=len(body), more=more).encode() + body
    began = time.perf_counter()
    clients = (_client(port, request, began + seconds, shape) for _ in range(connections))
    results = await asyncio.gather(*clients)
    took = time.perf_counter() - began
    latencies = sorted(latency for result in results for latency in result[1])
    accepted = sum(result[0] for result in results)
    at = [latencies[min(len(latencies) - 1, int(len(latencies) * part))] * 1e3 for part in (0.5, 0.99)]
    return Load(accepted, len(latencies) - accepted, took, *at)


def _new_id(shape: Shape) -> bytes:
    made = (
        uuid.uuid4().hex if shape.ids == "random" else server_id(time.time_ns() // 1_000_000, os.urandom(10))
    )
    return made.encode()


async def _client(port: int, request: bytes, deadline: float, shape: Shape) -> tuple[int, list[float]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    accepted, latencies = 0, []
    while (began := time.perf_counter()) < deadline:
        writer.write(request if shape.ids == "none" else request.replace(ID_MARK, _new_id(shape)))
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(size[1]) if size else 0)
        accepted += head.startswith(b"HTTP/1.1 2")
        latencies.append(time.perf_counter() - began)
    writer.close()
    return accepted, latencies
