"""The time of a request that finds no process of its function, under `ferry serve --isolate`: start, load, answer.

The supervisor serves; the function's process is stopped by its idle time before each request. The peer is the bound.
"""

import http.client
import statistics
import tempfile
import time

import servers
from harness import BenchError

NAME = "cold-isolate"
STARTS = 50
BOUND_MILLISECONDS = 60


def function_processes(host):
    """The functions' processes of a supervisor."""
    found = []
    for process in servers.children(host.pid):
        try:
            with open(f"/proc/{process}/cmdline") as file:
                if "serve-function" in file.read():
                    found.append(process)
        except OSError:
            continue
    return found


def wait_for_none(host):
    end = time.monotonic() + 20
    while function_processes(host):
        if time.monotonic() > end:
            raise BenchError("the process does not stop")
        time.sleep(0.01)


def request(port):
    """Milliseconds from connecting to the end of the answer, and what the answer tells of its start."""
    start = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/noop")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200 or not answer.headers["server-timing"]:
        raise BenchError(f"the answer is {answer.status}, {answer.headers['server-timing']}")
    return (time.monotonic() - start) * 1000, float(answer.headers["server-timing"].partition("dur=")[2])


def run(bench):
    functions = bench.folder / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions)
        settings = {"isolation": {"idleTime": "100ms"}}
        with servers.ferry(bench, folder, functions, settings=settings, arguments=["--isolate"]) as host:
            rounds = []
            for _ in range(STARTS + 1):
                wait_for_none(host)
                rounds.append(request(host.port))
    # The first one reads files that the others find in memory.
    times = sorted(milliseconds for milliseconds, _ in rounds[1:])
    p95 = times[int(len(times) * 0.95) - 1]
    bench.figure(NAME, p95, "ms", "bound-of-60-ms", p95 / BOUND_MILLISECONDS)
    waits = statistics.median(wait for _, wait in rounds[1:])
    bench.note(
        f"{NAME}: median {statistics.median(times):.1f} ms, {times[0]:.1f} to {times[-1]:.1f}, p95 of {STARTS} starts; "
        f"of it until the module was loaded {waits:.1f} ms")
