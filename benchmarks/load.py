"""Load for a local server: wrk where it is installed, else a small asyncio client.

Sends one body again and again over a fixed number of kept connections to
127.0.0.1, for a fixed time, and reports what came back.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n"
_LATENCY = re.compile(r"^\s+(50|99)%\s+([0-9.]+)(us|ms|s|m)$", re.MULTILINE)
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


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


def run(port: int, path: str, body: bytes, *, connections: int, seconds: int) -> Load:
    """Send ``body`` to ``path`` over ``connections`` connections for ``seconds``."""
    if generator() == "wrk":
        return _run_wrk(port, path, body, connections, seconds)
    return asyncio.run(_run_asyncio(port, path, body, connections, seconds))


def _run_wrk(port: int, path: str, body: bytes, connections: int, seconds: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script, content = Path(folder, "post.lua"), Path(folder, "body")
        content.write_bytes(body)
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f'local file = io.open("{content}", "rb")\nwrk.body = file:read("*a")\nfile:close()\n'
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"-s{script}"]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        )
    return _read_wrk(done.stdout)


def _read_wrk(text: str) -> Load:
    total = re.search(r"(\d+) requests in ([0-9.]+)(s|m)", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if total is None:
        raise ValueError(f"wrk printed something else than its summary:\n{text}")
    bad = int(refused[1]) if refused else 0
    seconds = float(total[2]) * (60 if total[3] == "m" else 1)
    latency = {percent: float(value) * _UNITS[unit] for percent, value, unit in _LATENCY.findall(text)}
    return Load(int(total[1]) - bad, bad, seconds, latency["50"], latency["99"])


async def _run_asyncio(port: int, path: str, body: bytes, connections: int, seconds: int) -> Load:
    request = HEAD.format(path=path, size=len(body)).encode() + body
    began = time.perf_counter()
    results = await asyncio.gather(*(_client(port, request, began + seconds) for _ in range(connections)))
    took = time.perf_counter() - began
    latencies = sorted(latency for result in results for latency in result[1])
    accepted = sum(result[0] for result in results)
    at = [latencies[min(len(latencies) - 1, int(len(latencies) * part))] * 1e3 for part in (0.5, 0.99)]
    return Load(accepted, len(latencies) - accepted, took, *at)


async def _client(port: int, request: bytes, deadline: float) -> tuple[int, list[float]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    accepted, latencies = 0, []
    while (began := time.perf_counter()) < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(size[1]) if size else 0)
        accepted += head.startswith(b"HTTP/1.1 2")
        latencies.append(time.perf_counter() - began)
    writer.close()
    return accepted, latencies
