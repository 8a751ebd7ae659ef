"""No-op jobs of one queue, added and worked by Ferry's client and by the PyPI client `bullmq` in turn.

Each side is a process of its own on the same private redis-server, which keeps nothing on disk and listens on a Unix
socket. Times are taken within the processes, without start and connecting. After each round the queue is dumped; what
both sides leave behind must be the same. PEER_PYTHON names another Python for the peer than .venv's, such as one with
hiredis.
"""

import contextlib
import functools
import json
import os
import statistics
import subprocess
import tempfile
import time

from harness import BenchError

JOBS = 20000
ROUNDS = 3
BULK = 200


class Redis:
    """A redis-server of the benchmark's own."""

    def __init__(self, bench, folder):
        self.bench, self.socket = bench, f"{folder}/redis.sock"
        self.cli = [bench.tool("redis-cli"), "-s", self.socket]
        self.log = f"{folder}/redis.log"
        command = [bench.tool("redis-server"), "--port", "0", "--unixsocket", self.socket, "--save", ""]
        command += ["--appendonly", "no", "--dir", folder, "--logfile", self.log]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end and self.process.poll() is None:
            if subprocess.run(self.cli + ["ping"], capture_output=True).stdout == b"PONG\n":
                return
            time.sleep(0.02)
        self.stop()
        raise BenchError(f"redis-server does not answer; see {self.log}")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def call(self, *arguments):
        return self.bench.check(self.cli + list(arguments), stdout=subprocess.PIPE)

    def cpu_seconds(self):
        """The server's own account of its CPU time, user and kernel."""
        fields = dict(line.split(":") for line in self.call("info", "cpu").split() if ":" in line)
        return float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])


class Queues:
    """Both sides on one redis-server; a side is 'ours' or 'peer'."""

    def __init__(self, bench, redis):
        python = os.environ.get("PEER_PYTHON", bench.root / ".venv" / "bin" / "python")
        if not os.path.exists(python):
            raise BenchError(f"the peer's {python} is missing; scripts/setup bench makes it")
        self.bench, self.redis = bench, redis
        self.peer = [str(python), str(bench.folder / "peers" / "bullmq_peer.py"), redis.socket]
        self.ours = [bench.build("queue-bench"), redis.socket]

    def run(self, side, *arguments):
        command = self.ours if side == "ours" else self.peer
        return self.bench.json(command + list(map(str, arguments)), timeout=900)

    def dump(self):
        return self.bench.json(self.peer + ["dump", str(JOBS)])

    def add(self, side, bulk):
        """Adds the jobs to an empty queue; gives jobs per second and the dump."""
        self.redis.call("flushall")
        result = self.run(side, "add", JOBS, bulk)
        return JOBS / result["seconds"], self.dump()

    def drain(self, side, concurrency, *more):
        """Completes jobs that are there, the same for both; gives jobs per second, Redis's CPU, and the dump."""
        self.redis.call("flushall")
        self.run("ours", "add", JOBS, BULK)
        before = self.redis.cpu_seconds()
        result = self.run(side, "drain", JOBS, concurrency, *more)
        cost = (self.redis.cpu_seconds() - before) * 1e6 / JOBS
        return JOBS / result["seconds"], cost, self.dump()


@contextlib.contextmanager
def queues(bench):
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(bench, folder)
        try:
            yield Queues(bench, redis)
        finally:
            redis.stop()


def compare(name, ours, peer):
    """Ends the benchmark when the sides left different things behind."""
    for key in sorted(ours.keys() | peer.keys()):
        mine, other = ours.get(key), peer.get(key)
        if mine == other:
            continue
        if isinstance(mine, dict) and isinstance(other, dict):
            part = next(part for part in sorted(mine.keys() | other.keys()) if mine.get(part) != other.get(part))
            key, mine, other = f"{key} {part}", mine.get(part), other.get(part)
        raise BenchError(f"{name}: {key} is {json.dumps(mine)}, the peer leaves {json.dumps(other)}")


def in_turn(bench, name, one):
    """Runs `one(side)` for both sides in turn, and gives what each gave; the last of each is the dump."""
    rounds = []
    for _ in range(ROUNDS):
        pair = one("peer"), one("ours")
        compare(name, pair[1][-1], pair[0][-1])
        rounds.append(pair)
    return [mine for _, mine in rounds], [other for other, _ in rounds]


def report(bench, name, unit, ours, theirs, peer="python-bullmq"):
    """Prints medians, and the median of the rounds' ratios."""
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs))
    bench.figure(name, statistics.median(ours), unit, peer, ratio)
    for who, values in [("ferry", ours), (peer, theirs)]:
        bench.note(f"{name}: {who} " + ", ".join(f"{value:.0f}" for value in values) + f" {unit}")


def adding(bench, name, bulk):
    with queues(bench) as both:
        ours, peer = in_turn(bench, name, lambda side: both.add(side, bulk))
    report(bench, name, "jobs/s", [mine[0] for mine in ours], [other[0] for other in peer])


@functools.cache
def drained(bench, concurrency):
    """For each round what Ferry gave, what the peer gave as it comes, and what it gave at its best."""
    name = f"queue-drain-{concurrency}"
    with queues(bench) as both:
        rounds = []
        for _ in range(ROUNDS):
            best = both.drain("peer", concurrency)
            plain = both.drain("peer", concurrency, "one") if concurrency > 1 else best
            ours = both.drain("ours", concurrency)
            compare(name, ours[-1], best[-1])
            rounds.append((ours, plain, best))
        return rounds


def draining(bench, name, concurrency):
    rounds = drained(bench, concurrency)
    ours = [mine[0] for mine, _, _ in rounds]
    report(bench, name, "jobs/s", ours, [plain[0] for _, plain, _ in rounds])
    if concurrency > 1:
        best = [best[0] for _, _, best in rounds]
        report(bench, f"{name}-tuned", "jobs/s", ours, best, peer="python-bullmq-with-a-pool")


def redis_cpu(bench, name, concurrency):
    rounds = drained(bench, concurrency)
    ours, best = [mine[1] for mine, _, _ in rounds], [best[1] for _, _, best in rounds]
    report(bench, name, "cpu-us/job", ours, best, peer="python-bullmq-with-a-pool")
