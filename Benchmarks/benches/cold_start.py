"""The time from exec to the first answer of a host with one function, and its memory after it.

Modules are built and another host of the same data folder keeps Redis and the S3 endpoint up. The answer is the status
of a job in Redis. The peer is the bound: 50 ms, 60 MB.
"""

import os
import signal
import socket
import statistics
import tempfile
import time

import servers
from http_status import make_job
from harness import BenchError

NAME = "cold-start"
STARTS = 20
BOUND_MILLISECONDS = 50
BOUND_MEGABYTES = 60
PAUSE_SECONDS = 0.001


def first_answer(port, path, deadline):
    """Connects until something listens, and waits for the head of the answer."""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline:
        with socket.socket() as client:
            client.settimeout(5)
            try:
                client.connect(("127.0.0.1", port))
            except ConnectionRefusedError:
                time.sleep(PAUSE_SECONDS)
                continue
            client.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(4096)
                if not part:
                    break
                head += part
            return time.monotonic(), head
    raise BenchError("no answer in time")


def start_once(command, port, path, log):
    """Starts the host, and gives milliseconds to its first answer, and its megabytes."""
    actions = [(os.POSIX_SPAWN_OPEN, fd, log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for fd in (1, 2)]
    start = time.monotonic()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    try:
        end, head = first_answer(port, path, start + 20)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"the first answer is {head[:80]}")
        memory = servers.resident_megabytes(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    return (end - start) * 1000, memory


def run(bench):
    functions = bench.root / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions, "initiate", "status")
        with servers.ferry(bench, folder, functions, "initiate,status") as keeper:
            path = make_job(keeper)
            server = servers.ferry(bench, folder, functions, "status")
            runs = [start_once(server.command, server.port, path, server.log) for _ in range(STARTS + 1)]
            # The first one reads files that the others find in memory.
            times = [milliseconds for milliseconds, _ in runs[1:]]
            time_taken = statistics.median(times)
            memory = statistics.median(megabytes for _, megabytes in runs[1:])
            bench.figure(NAME, time_taken, "ms", "bound-of-50-ms", time_taken / BOUND_MILLISECONDS)
            bench.figure(f"{NAME}-memory", memory, "MB", "bound-of-60-MB", memory / BOUND_MEGABYTES)
            bench.note(f"{NAME}: {min(times):.1f} to {max(times):.1f} ms, first start {runs[0][0]:.1f} ms")
