"""What the tests of queues share: a redis-server that comes and goes, a proxy that cuts connections, functions that
write down in Redis what they did, and the check that no job was lost and none has two results."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import redis as redis_py
from support import wait_until

# `starts:<id>` and `effects:<id>` list the runs of a job: by whom it was begun, by whom its work was done.
WORK = """import FunctionKit
import Glibc

struct Payload: Decodable, Sendable {
    var ms: Int
    var first: Int?
    var poison: Bool?
}

struct Outcome: Encodable, Sendable {
    var run: String
}

struct Work: QueueFunction {
    func process(_ job: QueueJob<Payload>, _ context: Context) async throws -> Outcome {
        let redis = try context.bindings.keyValue
        let run = "\\(getpid())-\\(UInt64.random(in: .min ... .max))"
        let starts = try await redis.send(["RPUSH", "starts:\\(job.id)", run])
        let isFirst = starts.integer == 1
        try await Task.sleep(for: .milliseconds(isFirst ? job.payload.first ?? job.payload.ms : job.payload.ms))
        if job.payload.poison == true { kill(getpid(), SIGKILL) }
        _ = try await redis.send(["RPUSH", "effects:\\(job.id)", run])
        return Outcome(run: run)
    }
}
""".replace("struct Task:", "struct Payload:").replace("QueueJob<Payload>", "QueueJob<Payload>")

# `handled:<id>` lists the processes that handled a job's event.
COMPLETED = """import FunctionKit
import Glibc

struct Completed: EventFunction {
    func handle(_ event: QueueEvent, _ context: Context) async throws {
        let redis = try context.bindings.keyValue
        _ = try await redis.send(["RPUSH", "begun:\\(event.jobID)", "\\(getpid())"])
        let pause = try await redis.send(["GET", "pause"]).string.flatMap { Int($0) } ?? 0
        if pause > 0 { try await Task.sleep(for: .milliseconds(pause)) }
        _ = try await redis.send(["RPUSH", "handled:\\(event.jobID)", "\\(getpid())"])
    }
}
"""

QUEUE = "crashes"
BASE = f"bull:{QUEUE}:"


def write_functions(folder, **functions):
    """Writes functions: name=(manifest, source)."""
    for name, (manifest, source) in functions.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "function.json").write_text(json.dumps(manifest))
        (folder / name / "Handler.swift").write_text(source)
    return folder


class RedisServer:
    """A redis-server on a port of its own, with an append-only file."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = None
        self.client = redis_py.Redis(port=self.port, decode_responses=True)
        self.start()
        # So that every event can be counted at the end.
        self.client.hset(BASE + "meta", "opts.maxLenEvents", 10_000_000)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        log = open(self.folder / "redis.log", "ab")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes",
             "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

        def answers():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
            try:
                return self.client.ping()
            except redis_py.exceptions.RedisError:
                return False

        wait_until(answers, 60)

    def stop(self, with_signal=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(30)
        self.process = None


class CuttingProxy:
    """A TCP proxy before a server that resets connections when told to."""

    def __init__(self, port):
        self.upstream, self.pairs, self.lock, self.cut_count = port, set(), threading.Lock(), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            pair = (client, server)
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # From here on it may be cut, also before anything is read from it.
            with self.lock:
                self.pairs.add(pair)
            for source, target in (pair, pair[::-1]):
                threading.Thread(target=self.pump, args=(source, target, pair), daemon=True).start()

    def pump(self, source, target, pair):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        self.close(pair)

    def close(self, pair):
        with self.lock:
            if pair not in self.pairs:
                return
            self.pairs.discard(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def cut(self, chooser):
        """Cuts one connection, whichever."""
        with self.lock:
            pairs = list(self.pairs)
        if pairs:
            self.cut_count += 1
            self.close(chooser.choice(pairs))

    def stop(self):
        self.listener.close()
        for pair in list(self.pairs):
            self.close(pair)


class Ops:
    """Adding and reading jobs of the test's queue through a plain Redis client, as any producer would store them."""

    def __init__(self, server):
        self.server, self.redis = server, server.client

    def add(self, payloads, **options):
        """Adds jobs in the way of BullMQ's wire format; gives their ids."""
        options = {"attempts": 1, **options}
        now = int(time.time() * 1000)
        first = self.redis.incrby(BASE + "id", len(payloads)) - len(payloads) + 1
        ids = [str(first + index) for index in range(len(payloads))]
        pipe = self.redis.pipeline(transaction=True)
        for job, payload in zip(ids, payloads):
            pipe.hset(BASE + job, mapping={
                "name": "work", "data": json.dumps(payload), "opts": json.dumps(options), "timestamp": now,
                "delay": 0, "priority": 0})
            pipe.lpush(BASE + "wait", job)
            pipe.xadd(BASE + "events", {"event": "waiting", "jobId": job})
        pipe.zadd(BASE + "marker", {"0": 0})
        pipe.execute()
        return ids

    def ended(self):
        return self.redis.zcard(BASE + "completed") + self.redis.zcard(BASE + "failed")

    def wait_ended(self, count, timeout):
        def done():
            try:
                return self.ended() >= count
            except redis_py.exceptions.RedisError:
                return False

        wait_until(done, timeout, self.state)

    def state(self):
        lists = {name: self.redis.llen(BASE + name) for name in ("wait", "active")}
        sets = {name: self.redis.zcard(BASE + name) for name in ("completed", "failed", "delayed")}
        failed = self.redis.zrange(BASE + "failed", 0, 3)
        return f"{lists} {sets} failed: {[(job, self.redis.hget(BASE + job, 'failedReason')) for job in failed]}"

    def runs(self, kind, job):
        return self.redis.lrange(f"{kind}:{job}", 0, -1)

    def event_counts(self, event):
        counts = {}
        for _, fields in self.redis.xrange(BASE + "events"):
            if fields.get("event") == event:
                counts[fields["jobId"]] = counts.get(fields["jobId"], 0) + 1
        return counts


def assert_all_done_once(ops, ids):
    """Every job has completed, none is anywhere else, and each has one result: that of a run that did its work."""
    r = ops.redis
    assert set(r.zrange(BASE + "completed", 0, -1)) == set(ids), ops.state()
    for name in ("wait", "active"):
        assert r.lrange(BASE + name, 0, -1) == []
    for name in ("failed", "delayed", "prioritized", "waiting-children"):
        assert r.zcard(BASE + name) == 0, name
    assert list(r.scan_iter(BASE + "*:lock")) == []
    assert ops.event_counts("completed") == {job: 1 for job in ids}
    for job in ids:
        fields = r.hgetall(BASE + job)
        starts, effects = ops.runs("starts", job), ops.runs("effects", job)
        run = json.loads(fields["returnvalue"])["run"]
        assert run in effects, (job, run, effects)
        assert set(effects) <= set(starts) and len(effects) == len(set(effects)), (job, starts, effects)
        assert int(fields["ats"]) >= len(starts) and fields["finishedOn"], (job, fields)
        assert float(fields["finishedOn"]) == r.zscore(BASE + "completed", job)


class Pool:
    """Hosts of one kind, some of which die now and then and are started anew."""

    def __init__(self, make_host, count, **options):
        self.make, self.options = lambda: make_host(wait=False, **options), options
        self.hosts = [self.make() for _ in range(count)]
        for host in self.hosts:
            host.wait_ready()
        self.kills = 0

    def kill_and_restart(self, index, settle=True):
        self.hosts[index].kill()
        self.kills += 1
        self.hosts[index] = self.make()
        if settle:
            self.hosts[index].wait_ready()

    def restart_dead(self):
        """Starts anew what has ended by itself; gives how many."""
        count = 0
        for index, host in enumerate(self.hosts):
            if host.process.poll() is not None:
                self.hosts[index] = self.make()
                count += 1
        return count

    def stop(self):
        for host in self.hosts:
            host.stop()
