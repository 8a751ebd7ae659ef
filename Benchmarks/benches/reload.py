"""The time from a save to the first answer of the new code, under load, in `ferry dev`.

200 kept-alive connections ask for one function the whole time, each with a pause between two requests; the handler is
saved 20 times. A request that fails, or an older answer after a newer one on a connection, fails the benchmark. The peer
is the bound: 2.5 s.
"""

import asyncio
import json
import pathlib
import statistics
import tempfile
import time

import servers
from harness import BenchError

NAME = "reload"
SWAPS = 20
CONNECTIONS = 200
# 200 connections with this pause are about 1000 requests a second.
PAUSE_SECONDS = 0.2
REST_SECONDS = 0.2
BOUND_SECONDS = 2.5
SOURCE = """import FunctionKit

struct Answer: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response { .text("VERSION") }
}
"""


class Load:
    """The connections, and what they have seen."""

    def __init__(self, port):
        self.port = port
        self.newest = 1
        self.first_seen = {}
        self.answers = 0
        self.stopped = False

    async def client(self, number):
        await asyncio.sleep(PAUSE_SECONDS * number / CONNECTIONS)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        last = 0
        while not self.stopped:
            writer.write(b"GET /answer HTTP/1.1\r\nhost: localhost\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await asyncio.wait_for(reader.readexactly(length), 30)
            if not head.startswith(b"HTTP/1.1 200 "):
                raise BenchError(f"a request failed: {head[:60]}")
            version = int(body)
            if not last <= version <= self.newest:
                raise BenchError(f"version {version} after {last}")
            last = version
            self.answers += 1
            self.first_seen.setdefault(version, time.monotonic())
            await asyncio.sleep(PAUSE_SECONDS)
        writer.close()

    async def swap(self, file, version):
        """Saves a version and gives the seconds until somebody has its answer."""
        self.newest = version
        start = time.monotonic()
        file.write_text(SOURCE.replace("VERSION", str(version)))
        while version not in self.first_seen:
            if time.monotonic() > start + 60:
                raise BenchError(f"version {version} never answered")
            await asyncio.sleep(0.002)
        return self.first_seen[version] - start


async def measure(port, file):
    load = Load(port)

    async def swaps():
        times = []
        await asyncio.sleep(2 * PAUSE_SECONDS)
        for version in range(2, SWAPS + 2):
            times.append(await load.swap(file, version))
            await asyncio.sleep(REST_SECONDS)
        load.stopped = True
        return times

    # The first failure of a connection ends the whole.
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(load.client(number))
        result = group.create_task(swaps())
    return result.result(), load.answers


def run(bench):
    with tempfile.TemporaryDirectory() as folder:
        function = pathlib.Path(folder) / "functions" / "answer"
        function.mkdir(parents=True)
        (function / "function.json").write_text(json.dumps({"http": "GET /answer"}))
        file = function / "Answer.swift"
        file.write_text(SOURCE.replace("VERSION", "1"))
        config = pathlib.Path(folder) / "config.json"
        config.write_text(json.dumps({"storage": {"port": 0}}))
        port = servers.free_port()
        command = [bench.ferry(), "dev", "--functions", str(function.parent), "--data", f"{folder}/data"]
        command += ["--config", str(config), "--listen", f"127.0.0.1:{port}"]
        with servers.Server(command, port, f"{folder}/log") as server:
            before = servers.resident_megabytes(server.pid)
            try:
                times, answers = asyncio.run(measure(port, file))
            except* BenchError as errors:
                raise BenchError(str(errors.exceptions[0])) from None
            except* (OSError, asyncio.IncompleteReadError, TimeoutError) as errors:
                raise BenchError(f"a connection failed: {errors.exceptions[0]!r}") from None
            grown = servers.resident_megabytes(server.pid) - before
        median = statistics.median(times)
        bench.figure(NAME, median, "s", "bound-of-2.5-s", median / BOUND_SECONDS)
        bench.note(
            f"{NAME}: {min(times):.2f} to {max(times):.2f} s, {answers} requests, none failed; memory +{grown:.1f} MB"
        )
