"""Event functions: each `completed` is handled once by all replicas together, also after crashes and long absences."""

import random
import time

import pytest
from conftest import SOAK
from queues import BASE, COMPLETED, QUEUE, WORK, Ops, Pool, RedisServer, write_functions
from support import wait_until

GROUP = "ferry-done"


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def functions(tmp_path):
    work = {"queue": QUEUE, "on": "process", "timeout": "60s", "concurrency": 4}
    done = {"queue": QUEUE, "on": "completed", "timeout": "20s"}
    return write_functions(tmp_path / "functions", work=(work, WORK), done=(done, COMPLETED))


def settings(server, ministack):
    return {"redis": {"url": server.url}, **ministack.config()}


def wait_handled(ops, ids, timeout=60):
    """Waits until the event of each job was handled."""
    def left():
        pipe = ops.redis.pipeline()
        for job in ids:
            pipe.llen(f"handled:{job}")
        return [job for job, count in zip(ids, pipe.execute()) if count == 0]

    wait_until(lambda: not left(), timeout, lambda: f"not handled: {left()[:10]} {ops.state()}")


def assert_handled_once(ops, ids):
    # What is unread or unacknowledged might still be handled.
    def is_quiet():
        (group,) = [group for group in ops.redis.xinfo_groups(BASE + "events") if group["name"] == GROUP]
        return group["pending"] == 0 and not group.get("lag")

    wait_until(is_quiet, 30, lambda: str(ops.redis.xinfo_groups(BASE + "events")))
    assert {job: len(ops.runs("handled", job)) for job in ids} == {job: 1 for job in ids}


def test_three_replicas_handle_each_event_once(server, make_host, functions, ministack):
    pool = Pool(make_host, 3, functions=functions, config=settings(server, ministack))
    ops = Ops(server)
    server.client.set("pause", 5)
    ids = ops.add([{"ms": 5} for _ in range(3000 if SOAK else 300)])
    wait_handled(ops, ids)
    assert_handled_once(ops, ids)
    pids = {ops.runs("handled", job)[0] for job in ids}
    assert pids == {str(host.process.pid) for host in pool.hosts}, "all take part"
    pool.stop()


def test_an_event_whose_handler_was_killed_is_handled_by_another(server, make_host, functions, ministack):
    pool = Pool(make_host, 3, functions=functions, config=settings(server, ministack))
    ops = Ops(server)
    before = ops.add([{"ms": 1} for _ in range(20)])
    wait_handled(ops, before)
    server.client.set("pause", 15_000)
    (job,) = ops.add([{"ms": 1}])
    (pid,) = wait_until(lambda: ops.runs("begun", job), 30, ops.state)
    (victim,) = [index for index, host in enumerate(pool.hosts) if str(host.process.pid) == pid]
    pool.hosts[victim].kill()
    assert ops.runs("handled", job) == []
    server.client.delete("pause")
    # The others go on meanwhile.
    after = ops.add([{"ms": 1} for _ in range(20)])
    wait_handled(ops, after)
    assert ops.runs("handled", job) == []
    if not SOAK:
        # 50 s (the time limit and 30 s) pass for what is pending; a host looks for that when it starts.
        for entry in server.client.xpending_range(BASE + "events", GROUP, "-", "+", 10):
            server.client.xclaim(
                BASE + "events", GROUP, entry["consumer"], 0, [entry["message_id"]], idle=60_000, justid=True)
    pool.restart_dead()
    wait_handled(ops, [job], 120)
    assert_handled_once(ops, before + [job] + after)
    assert len(ops.runs("begun", job)) == 2 and ops.runs("handled", job) != [pid]
    for host in pool.hosts:
        host.wait_ready()
    pool.stop()


def test_hosts_killed_while_handling_lose_no_event(server, make_host, functions, ministack):
    pool = Pool(make_host, 3, functions=functions, config={
        **settings(server, ministack),
        "queue": {"lockDuration": "1500ms", "stalledCheck": "500ms", "stalledGate": "400ms", "maxStalledCount": 1000}})
    ops = Ops(server)
    server.client.set("pause", 20)
    chooser = random.Random(1)
    ids = ops.add([{"ms": 5} for _ in range(1000 if SOAK else 150)])
    kills = 20 if SOAK else 3
    for _ in range(kills):
        handled = sum(1 for _ in server.client.scan_iter("handled:*", count=1000))
        wait_until(lambda: sum(1 for _ in server.client.scan_iter("handled:*", count=1000)) > handled, 60, ops.state)
        pool.kill_and_restart(chooser.randrange(3))
    ops.wait_ended(len(ids), 60)
    begun = time.monotonic()
    while len([1 for _ in server.client.scan_iter("handled:*", count=1000)]) < len(ids):
        pending = server.client.xpending_range(BASE + "events", GROUP, "-", "+", 100, idle=3_000)
        for entry in pending:
            # Nobody handles for 3 s: its reader was killed. The rest of its 50 s passes.
            server.client.xclaim(
                BASE + "events", GROUP, entry["consumer"], 0, [entry["message_id"]], idle=60_000, justid=True)
        if pending and not SOAK:
            # A host looks for such entries when it starts.
            pool.hosts[0].stop()
            pool.restart_dead()
            pool.hosts[0].wait_ready()
        assert time.monotonic() < begun + 120, ops.state()
        time.sleep(0.2)
    counts = [len(ops.runs("handled", job)) for job in ids]
    # Killed between the handler's end and the acknowledgement: at least once, and at most one more a kill.
    assert sum(counts) - len(ids) <= kills
    pool.stop()


def test_events_that_were_trimmed_while_all_were_away_are_handled(server, make_host, functions, ministack):
    """BullMQ keeps about 10 000 events; a consumer group would skip over the rest in silence."""
    server.client.hset(BASE + "meta", "opts.maxLenEvents", 10_000)
    config = settings(server, ministack)
    ops = Ops(server)
    pool = Pool(make_host, 3, functions=functions, config=config)
    before = ops.add([{"ms": 1} for _ in range(20)])
    wait_handled(ops, before)
    assert_handled_once(ops, before)
    pool.stop()
    worker = make_host(functions=functions, config=config, args=("--only", "work"))
    missed = ops.add([{"ms": 0} for _ in range(4_000 if SOAK else 50)])
    ops.wait_ended(len(before) + len(missed), 300)
    pipe = server.client.pipeline(transaction=False)
    for number in range(12_000):
        fields = {"event": "progress", "jobId": missed[0], "data": str(number)}
        pipe.xadd(BASE + "events", fields, maxlen=10_000, approximate=True)
    pipe.execute()
    late = ops.add([{"ms": 1} for _ in range(20)])
    ops.wait_ended(len(before) + len(missed) + len(late), 60)
    worker.stop()
    # Finish and event are dated by two clocks, so what lies within 5 s of the gap's ends is handed out again. Here the
    # others lie further off.
    for jobs, seconds in ((before, -60), (late, 60)):
        for job in jobs:
            server.client.zincrby(BASE + "completed", seconds * 1000, job)
    assert set(ops.event_counts("completed")).isdisjoint(missed[:10]), "the events are gone"
    pool = Pool(make_host, 3, functions=functions, config=config)
    wait_handled(ops, missed + late)
    assert_handled_once(ops, before + missed + late)
    pool.stop()
