"""Queues, events and schedules under `ferry serve --isolate`: processes come for work, go without it, and may die."""

import json
import os
import pathlib
import signal
import time

import pytest
from queues import BASE, COMPLETED, QUEUE, Ops, RedisServer, write_functions
from support import check_archive, wait_until
from test_main_job import names, put_sources

# What Work does, told by the job: it writes down its start, waits, may end its process, and writes down its effect.
WORK = """import FunctionKit
import Glibc

struct Payload: Decodable, Sendable {
    var ms: Int
    var first: Int?
    var isPoison: Bool?
}

struct Work: QueueFunction {
    func process(_ job: QueueJob<Payload>, _ context: Context) async throws -> Int {
        let redis = try context.bindings.keyValue
        let run = "\\(getpid())-\\(job.attempt)"
        let starts = try await redis.send(["RPUSH", "starts:\\(job.id)", run])
        _ = try await redis.send(["SADD", "pids", "\\(getpid())"])
        let isFirst = starts.integer == 1
        try await Task.sleep(for: .milliseconds(isFirst ? job.payload.first ?? job.payload.ms : job.payload.ms))
        if job.payload.isPoison == true { fatalError("poison") }
        _ = try await redis.send(["RPUSH", "effects:\\(job.id)", run])
        return Int(getpid())
    }
}
"""

TICK = """import FunctionKit
import Glibc

struct Tick: ScheduledFunction {
    func run(_ tick: ScheduledTick, _ context: Context) async throws {
        let line = "\\(tick.at.milliseconds) \\(Timestamp.now.milliseconds) \\(getpid())"
        _ = try await context.bindings.keyValue.send(["RPUSH", "ticks", line])
    }
}
"""

MANIFEST = {"queue": QUEUE, "on": "process", "timeout": "60s", "concurrency": 4}


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def isolated(tmp_path, server, make_host):
    """Starts a host whose functions have processes of their own."""

    def start(idle="60s", processes=4, queue=None, **functions):
        folder = write_functions(tmp_path / "functions", **functions)
        config = {
            "redis": {"url": server.url}, "isolation": {"idleTime": idle, "maxProcesses": processes},
            "queue": queue or {}, "http": {"drainTimeout": "5s"},
        }
        return make_host(functions=folder, config=config, args=("--isolate",))

    return start


def children(host):
    """The pids of the functions' processes."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent[1] == str(host.process.pid) and parent[0] != "Z" and b"serve-function" in command:
            found.append(int(entry.name))
    return found


def pid_of(run):
    return int(run.split("-")[0])


def add_delayed(ops, payload, ms):
    """Adds a job that is due in so many ms; gives its id and when that is."""
    job, now = str(ops.redis.incr(BASE + "id")), int(time.time() * 1000)
    due = now + ms
    pipe = ops.redis.pipeline(transaction=True)
    pipe.hset(BASE + job, mapping={
        "name": "work", "data": json.dumps(payload), "opts": json.dumps({"delay": ms}), "timestamp": now, "delay": ms,
        "priority": 0})
    pipe.zadd(BASE + "delayed", {job: due * 4096})
    pipe.zadd(BASE + "marker", {"1": due})
    pipe.xadd(BASE + "events", {"event": "delayed", "jobId": job, "delay": due})
    pipe.execute()
    return job, due


def test_a_job_starts_a_process_and_idleness_ends_it(server, isolated):
    host, ops = isolated(idle="500ms", work=(MANIFEST, WORK)), Ops(server)
    assert children(host) == []
    pids = []
    for _ in range(2):
        began = time.monotonic()
        [job] = ops.add([{"ms": 1}])
        wait_until(lambda: server.client.zscore(BASE + "completed", job), 20, ops.state)
        assert time.monotonic() - began < 5
        pids.append(pid_of(ops.runs("effects", job)[0]))
        wait_until(lambda: children(host) == [], 20)
    assert pids[0] != pids[1] and host.process.pid not in pids
    assert server.client.hget(BASE + "1", "stc") is None


def test_a_delayed_job_wakes_its_sleeping_function_in_time(server, isolated):
    host, ops = isolated(idle="300ms", work=(MANIFEST, WORK)), Ops(server)
    lateness = []
    for ms in (1500, 2500):
        job, due = add_delayed(ops, {"ms": 1}, ms)
        time.sleep(ms / 2000)  # half of it, which nothing may shorten
        assert children(host) == []
        wait_until(lambda: server.client.zscore(BASE + "completed", job), 30, ops.state)
        started = int(server.client.hget(BASE + job, "processedOn"))
        lateness.append(started - due)
        wait_until(lambda: children(host) == [], 20)
    print("ms after their time that delayed jobs started in a process that was not there:", lateness)
    assert min(lateness) >= 0 and max(lateness) < 2000


def test_a_job_that_ends_its_process_fails_and_takes_no_other_along(server, isolated):
    host, ops = isolated(work=(MANIFEST, WORK)), Ops(server)
    payloads = [{"ms": 100 if number == 2 else 300, "isPoison": number == 2} for number in range(12)]
    ids = ops.add(payloads)
    ops.wait_ended(len(ids), 120)
    assert server.client.zrange(BASE + "failed", 0, -1) == [ids[2]], ops.state()
    poison = server.client.hgetall(BASE + ids[2])
    assert poison["failedReason"] == "job stalled more than allowable limit" and poison["stc"] == "2"
    assert len(ops.runs("starts", ids[2])) == 2
    assert set(server.client.zrange(BASE + "completed", 0, -1)) == set(ids) - {ids[2]}
    for job in set(ids) - {ids[2]}:
        assert len(ops.runs("effects", job)) == 1
        assert int(server.client.hget(BASE + job, "stc") or 0) <= 1
    assert host.process.poll() is None


def test_a_job_of_a_killed_process_runs_again_within_two_seconds(server, isolated):
    host, ops = isolated(work=(MANIFEST, WORK)), Ops(server)
    ids = ops.add([{"first": 60_000, "ms": 1} for _ in range(3)])
    wait_until(lambda: all(ops.runs("starts", job) for job in ids), 30, ops.state)
    [pid] = {pid_of(ops.runs("starts", job)[0]) for job in ids}
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: any(len(ops.runs("starts", job)) > 1 for job in ids), 30, ops.state)
    again = time.monotonic() - killed
    wait_until(lambda: all(server.client.zscore(BASE + "completed", job) for job in ids), 30, ops.state)
    print(f"seconds until a killed process's job ran again: {again:.2f}, all: {time.monotonic() - killed:.2f}")
    assert again < 2
    assert [server.client.hget(BASE + job, "stc") for job in ids] == ["1"] * 3
    assert host.process.poll() is None


def test_processes_are_added_when_all_are_full_and_not_beyond_the_limit(server, isolated):
    host, ops = isolated(idle="1s", processes=3, work=({**MANIFEST, "concurrency": 2}, WORK)), Ops(server)
    ids = ops.add([{"ms": 1500} for _ in range(16)])
    most = 0

    def ended():
        nonlocal most
        most = max(most, len(children(host)))
        return ops.ended() >= len(ids)

    wait_until(ended, 60, ops.state)
    assert most == 3
    assert server.client.scard("pids") == 3
    wait_until(lambda: children(host) == [], 30)
    # What one place can do needs one process.
    for _ in range(4):
        [job] = ops.add([{"ms": 50}])
        wait_until(lambda: server.client.zscore(BASE + "completed", job), 20, ops.state)
    assert server.client.scard("pids") == 4


def test_a_schedule_needs_no_process_between_its_times(server, isolated):
    host = isolated(idle="300ms", tick=({"schedule": "*/5 * * * * *"}, TICK))
    redis = server.client
    for count in (1, 2, 3):
        wait_until(lambda: redis.llen("ticks") >= count, 30)
        wait_until(lambda: children(host) == [], 4.5)
    ticks = [[int(part) for part in line.split()] for line in redis.lrange("ticks", 0, 2)]
    assert [tick[0] - ticks[0][0] for tick in ticks] == [0, 5000, 10_000]
    print("ms after their time that ticks started:", [tick[1] - tick[0] for tick in ticks])
    assert all(0 <= tick[1] - tick[0] < 2000 for tick in ticks)
    assert len({tick[2] for tick in ticks}) == 3


def test_each_event_is_handled_once_although_processes_come_and_go(server, isolated):
    done = {"queue": QUEUE, "on": "completed", "timeout": "20s"}
    host = isolated(idle="300ms", work=(MANIFEST, WORK), done=(done, COMPLETED))
    ops, ids = Ops(server), []
    for _ in range(3):
        ids += ops.add([{"ms": 5} for _ in range(10)])
        wait_until(lambda: all(server.client.exists(f"handled:{job}") for job in ids), 30, ops.state)
        wait_until(lambda: children(host) == [], 20)
    handled = {job: server.client.lrange(f"handled:{job}", 0, -1) for job in ids}
    assert all(len(pids) == 1 for pids in handled.values()), handled
    assert len({pids[0] for pids in handled.values()}) == 3
    assert server.client.xpending(BASE + "events", "ferry-done")["pending"] == 0


def test_events_of_a_killed_process_are_handled_by_the_next(server, isolated):
    done = {"queue": QUEUE, "on": "completed", "timeout": "60s"}
    isolated(work=(MANIFEST, WORK), done=(done, COMPLETED))
    ops = Ops(server)
    server.client.set("pause", 60_000)
    ids = ops.add([{"ms": 1} for _ in range(5)])
    begun = wait_until(lambda: [pid for job in ids for pid in server.client.lrange(f"begun:{job}", 0, -1)], 30)
    server.client.delete("pause")
    os.kill(int(begun[0]), signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: all(server.client.exists(f"handled:{job}") for job in ids), 30, ops.state)
    # Long before the time after which an event is taken for lost.
    assert time.monotonic() - killed < 10
    assert all(server.client.llen(f"handled:{job}") == 1 for job in ids)


def test_a_download_from_end_to_end(make_host, tmp_path):
    host = make_host(args=("--isolate",), config={"isolation": {"idleTime": "2s"}})
    sources = {20_041: b"hello\n", 20_042: os.urandom(300_000), 20_043: b""}
    put_sources(host.s3(), host.bucket, sources)
    job_id = host.client.initiate(list(sources))
    job = host.client.finished(job_id)
    assert job["status"] == "ready" and job["error"] is None
    members = dict(zip(names(sources), sources.values()))
    check_archive(host.client.archive(job_id), members, tmp_path)
    wait_until(lambda: children(host) == [], 60)
    # Its record and its archive need no process to stay.
    check_archive(host.client.archive(job_id), members, tmp_path)
