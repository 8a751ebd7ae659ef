"""Watchers of jobs, by event stream or WebSocket: from publish to receipt, and what an idle watcher costs.

The host serves no worker; the messages are published by the generator (fanout-bench), in the form that workers publish.
Sizes are reduced for a trial by FANOUT_WATCHERS, FANOUT_JOBS, FANOUT_RATE (publishes a second) and FANOUT_SECONDS.
"""

import json
import os
import resource
import select
import subprocess
import tempfile
import time

import servers
from harness import BenchError

P99_BOUND_MS, MEMORY_BOUND_KB, IDLE_BOUND_PERCENT = 100, 25, 1
IDLE_SECONDS = 10


def size(name, default):
    return int(os.environ.get(f"FANOUT_{name}", default))


class Generator:
    """The watchers' and publishers' process; it prints a line when it is ready and one when it is done."""

    def __init__(self, bench, arguments):
        command = [bench.build("fanout-bench"), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def line(self, timeout):
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise BenchError(f"fanout-bench says nothing for {timeout} s")
        text = self.process.stdout.readline()
        if not text:
            raise BenchError(f"fanout-bench ended with {self.process.wait(30)}")
        return json.loads(text)

    def go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()


def make_jobs(server, count, path):
    ids = []
    for _ in range(count):
        status, body = server.request("POST", "/v1/download/initiate", {"file_ids": [100001, 100002, 100003]})
        if status != 202:
            raise BenchError(f"initiate answered {status}: {body}")
        ids.append(body["jobId"])
    with open(path, "w") as file:
        file.write("\n".join(ids) + "\n")


def settle(pid, timeout=30):
    """Waits until a process's memory stands still, and gives it in kilobytes."""
    last, end = 0, time.monotonic() + timeout
    while time.monotonic() < end:
        now = servers.resident_megabytes(pid) * 1024
        if abs(now - last) < 64:
            break
        last = now
        time.sleep(1)
    return now


def run(bench, name, transport, function):
    """Prints the figures of one transport."""
    watchers, jobs = size("WATCHERS", 10000), size("JOBS", 1000)
    rate, seconds = size("RATE", 2000), size("SECONDS", 20)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < watchers + 200:
        raise BenchError(f"{hard} open files are allowed, too few for {watchers} watchers")
    functions = bench.root / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions, "initiate", function)
        settings = {"http": {"maxConnections": watchers + 1000, "backlog": 4096}}
        with servers.ferry(bench, folder, functions, f"initiate,{function}", settings) as host:
            make_jobs(host, jobs, f"{folder}/jobs")
            before = settle(host.pid)
            generator = Generator(
                bench,
                [transport, host.port, f"{folder}/data/redis/redis.sock", f"{folder}/jobs", watchers, rate, seconds])
            try:
                measure(bench, name, host, generator, servers.redis_pid(folder), watchers, before, seconds)
            finally:
                generator.stop()


def measure(bench, name, host, generator, redis, watchers, before, seconds):
    start = time.monotonic()
    generator.line(120)
    bench.note(f"{name}: {watchers} watchers have their first message after {time.monotonic() - start:.1f} s")
    memory = (settle(host.pid) - before) / watchers

    cpu = servers.cpu_seconds(host.pid)
    time.sleep(IDLE_SECONDS)
    idle = (servers.cpu_seconds(host.pid) - cpu) / IDLE_SECONDS * 100

    pids = [host.pid, generator.process.pid, redis]
    cpu = [servers.cpu_seconds(pid) for pid in pids]
    generator.go()
    result = generator.line(seconds * 3 + 60)
    costs = [(servers.cpu_seconds(pid) - start) * 1e6 for pid, start in zip(pids, cpu)]
    if result["problem"] or result["lost"] or result["behind"]:
        raise BenchError(f"{name}: not every watcher saw all: {result}")
    deliveries = result["deliveries"]
    bench.note(
        f"{name}: {result['publishes'] / result['seconds']:.0f} publishes and {deliveries / result['seconds']:.0f} "
        f"deliveries a second for {result['seconds']:.0f} s; {result['skipped']} messages went into later ones; "
        f"p50 {result['p50']:.1f}, p90 {result['p90']:.1f}, p99.9 {result['p999']:.1f}, max {result['max']:.1f} ms")
    bench.note(
        f"{name}: CPU us a delivery: host {costs[0] / deliveries:.1f}, generator {costs[1] / deliveries:.1f}, "
        f"redis-server {costs[2] / deliveries:.1f}; load average {os.getloadavg()[0]:.1f}")
    bench.figure(name, result["p99"], "ms-p99", f"bound-of-{P99_BOUND_MS}-ms", result["p99"] / P99_BOUND_MS)
    bench.figure(
        f"{name}-memory", memory, "KB/watcher", f"bound-of-{MEMORY_BOUND_KB}-KB", memory / MEMORY_BOUND_KB)
    bench.figure(
        f"{name}-idle", idle, "cpu-percent", f"bound-of-{IDLE_BOUND_PERCENT}-percent", idle / IDLE_BOUND_PERCENT)
