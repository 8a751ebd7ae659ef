"""Workers that die, stop and come back, Redis that goes away: every job finishes, none is lost, each has one result."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from conftest import ROOT, SOAK
from queues import (
    BASE, QUEUE, WORK, CuttingProxy, Ops, Pool, RedisServer, assert_all_done_once, write_functions)
from support import wait_until
from test_main_job import names, put_sources

# A lost worker is noticed sooner than by default, and a job may lose more of them than these tests take from it.
QUICK = {"lockDuration": "1500ms", "stalledCheck": "500ms", "stalledGate": "400ms", "maxStalledCount": 1000}
# Ferry's own times.
DEFAULTS = {"maxStalledCount": 1000}
SEED = int(os.environ.get("FERRY_SEED", "1"))


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def functions(tmp_path):
    manifest = {"queue": QUEUE, "on": "process", "timeout": "60s", "concurrency": 4}
    return write_functions(tmp_path / "functions", work=(manifest, WORK))


def settings(server, queue, ministack, url=None):
    """One redis-server and one store for all; the store is only there to be no process's own."""
    return {"redis": {"url": url or server.url}, "queue": queue, **ministack.config()}


def disturb(act, times, least, most, until, seed=SEED):
    """Acts so many times at random moments, as long as there is work; gives how often it did."""
    chooser = random.Random(seed)
    for count in range(times):
        end = time.monotonic() + chooser.uniform(least, most)
        while time.monotonic() < end:
            if until():
                return count
            time.sleep(0.02)
        act(chooser)
    return times


def test_hosts_killed_at_random_moments_lose_nothing(server, make_host, functions, ministack):
    jobs, kills = (2000, 50) if SOAK else (150, 4)
    config = settings(server, DEFAULTS if SOAK else QUICK, ministack)
    pool = Pool(make_host, 3, functions=functions, config=config)
    ops = Ops(server)
    # So much work that it outlasts the kills: three hosts work four jobs at a time.
    each = 12_000 * (2.5 if SOAK else 0.7) * kills / jobs
    chooser = random.Random(SEED)
    ids = ops.add([{"ms": int(chooser.uniform(0.2, 1.8) * each)} for _ in range(jobs)])
    done = disturb(
        lambda chooser: pool.kill_and_restart(chooser.randrange(3)), kills, 0.2, 2.5 if SOAK else 0.8,
        lambda: ops.ended() >= jobs)
    assert done == kills, "the jobs ended before the last kill"
    ops.wait_ended(jobs, 600 if SOAK else 90)
    assert_all_done_once(ops, ids)
    stalls = sum(int(server.client.hget(BASE + job, "stc") or 0) for job in ids)
    assert 0 < stalls <= kills * 4
    # Work is done twice only where its host was killed after it.
    surplus = sum(len(ops.runs("starts", job)) - 1 for job in ids)
    assert surplus <= stalls
    pool.stop()


def test_a_job_of_a_killed_worker_runs_again_within_15_seconds(server, make_host, functions, ministack):
    pool = Pool(make_host, 2, functions=functions, config=settings(server, {}, ministack))
    ops = Ops(server)
    times = []
    for _ in range(5 if SOAK else 1):
        ids = ops.add([{"first": 60_000, "ms": 1} for _ in range(4)])
        wait_until(lambda: all(ops.runs("starts", job) for job in ids), 30)
        pids = {int(ops.runs("starts", job)[0].split("-")[0]): job for job in ids}
        victim = next(index for index, host in enumerate(pool.hosts) if host.process.pid in pids)
        lost = [job for job in ids if int(ops.runs("starts", job)[0].split("-")[0]) == pool.hosts[victim].process.pid]
        pool.hosts[victim].kill()
        killed = time.monotonic()
        for job in lost:
            wait_until(lambda: len(ops.runs("starts", job)) > 1, 60, ops.state)
        times.append(time.monotonic() - killed)
        wait_until(lambda: all(server.client.zscore(BASE + "completed", job) for job in lost), 10, ops.state)
        # What the other host holds would block it for a minute.
        for index, host in enumerate(pool.hosts):
            if index != victim:
                host.kill()
        pool.restart_dead()
        for host in pool.hosts:
            host.wait_ready()
        wait_until(lambda: all(server.client.zscore(BASE + "completed", job) for job in ids), 60, ops.state)
    print("seconds until a killed worker's jobs ran again:", [round(value, 1) for value in times])
    assert max(times) < 15, times


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGKILL] if SOAK else [signal.SIGKILL])
def test_redis_that_goes_away_for_a_while_costs_no_job(server, make_host, functions, ministack, with_signal):
    jobs, away = (2000, 20) if SOAK else (120, 4)
    pool = Pool(make_host, 3, functions=functions, config=settings(server, DEFAULTS if SOAK else QUICK, ministack))
    ops = Ops(server)
    ids = ops.add([{"ms": 150} for _ in range(jobs)], attempts=20, backoff={"type": "fixed", "delay": 200})
    wait_until(lambda: ops.ended() > jobs // 10, 60, ops.state)
    server.stop(with_signal)
    time.sleep(away)  # the outage itself
    server.start()
    assert ops.ended() < jobs
    ops.wait_ended(jobs, 300)
    assert_all_done_once(ops, ids)
    assert [host.process.poll() for host in pool.hosts] == [None] * 3
    pool.stop()


def test_connections_cut_at_random_cost_no_job(server, make_host, functions, ministack):
    jobs, cuts = (2000, 400) if SOAK else (150, 30)
    proxy = CuttingProxy(server.port)
    try:
        config = settings(server, DEFAULTS if SOAK else QUICK, ministack, proxy.url)
        pool = Pool(make_host, 3, functions=functions, config=config)
        ops = Ops(server)
        ids = ops.add([{"ms": 200} for _ in range(jobs)], attempts=50, backoff={"type": "fixed", "delay": 50})
        disturb(proxy.cut, cuts, 0.01, 0.15, lambda: ops.ended() >= jobs)
        assert proxy.cut_count > cuts // 3
        ops.wait_ended(jobs, 300)
        assert_all_done_once(ops, ids)
        pool.stop()
    finally:
        proxy.stop()


def test_a_poison_job_fails_after_its_stall_limit_and_the_others_go_on(server, make_host, functions, ministack):
    config = settings(server, {**QUICK, "maxStalledCount": 1}, ministack)
    pool = Pool(make_host, 2, functions=functions, config=config)
    ops = Ops(server)
    # It kills its process when what was begun beside it has ended: else that would be lost as often as the poison.
    (poison,) = ops.add([{"ms": 400, "poison": True}])
    others = ops.add([{"ms": 30} for _ in range(200 if SOAK else 60)])
    restarts = 0

    def ended():
        nonlocal restarts
        restarts += pool.restart_dead()
        return ops.ended() == len(others) + 1

    wait_until(ended, 90, ops.state)
    fields = server.client.hgetall(BASE + poison)
    assert fields["failedReason"] == "job stalled more than allowable limit", fields
    assert (fields["stc"], fields["atm"], fields["ats"]) == ("2", "1", "3")
    assert len(ops.runs("starts", poison)) == restarts == 2 and ops.runs("effects", poison) == []
    assert server.client.zrange(BASE + "failed", 0, -1) == [poison], ops.state()
    assert set(server.client.zrange(BASE + "completed", 0, -1)) == set(others)
    after = ops.add([{"ms": 1}])
    wait_until(lambda: server.client.zscore(BASE + "completed", after[0]), 30, ops.state)
    for host in pool.hosts:
        host.wait_ready()


PYTHON_WORKER = """
import asyncio, os, sys
import redis.asyncio
from bullmq import Worker

port, queue, lock, stalled = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

async def main():
    connection = redis.asyncio.Redis(port=port, decode_responses=True, socket_timeout=None)
    other = redis.asyncio.Redis(port=port, decode_responses=True, socket_timeout=None)

    async def work(job, token):
        run = f"{os.getpid()}-{job.id}-{token}"
        starts = await other.rpush(f"starts:{job.id}", run)
        await asyncio.sleep(job.data["first" if starts == 1 and "first" in job.data else "ms"] / 1000)
        await other.rpush(f"effects:{job.id}", run)
        return {"run": run}

    options = {"connection": connection, "concurrency": 4, "lockDuration": lock, "stalledInterval": stalled,
               "maxStalledCount": 1000, "autorun": False}
    await Worker(queue, work, options).run()

asyncio.run(main())
"""


def test_a_mixed_pool_recovers_whichever_worker_dies(server, make_host, functions, ministack):
    """With BullMQ's own 30 s on the Python side (soak) the check of a Python worker may keep Ferry's away for 30 s."""
    lock = 30_000 if SOAK else 2_000
    pool = Pool(make_host, 1, functions=functions, config=settings(server, {**QUICK} if not SOAK else DEFAULTS, ministack))
    ops = Ops(server)
    command = [sys.executable, "-c", PYTHON_WORKER, str(server.port), QUEUE, str(lock), str(lock)]
    workers = []

    def start():
        workers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
        return workers[-1]

    def holder(job):
        return int(ops.runs("starts", job)[0].split("-")[0])

    try:
        start()
        times = {"python": [], "ferry": []}
        for _ in range(3 if SOAK else 1):
            ids = ops.add([{"first": 90_000, "ms": 1} for _ in range(8)])
            wait_until(lambda: all(ops.runs("starts", job) for job in ids), 30, ops.state)
            for kind in ("python", "ferry"):
                victim = workers[-1] if kind == "python" else pool.hosts[0].process
                lost = [job for job in ids if holder(job) == victim.pid]
                assert len(lost) == 4, "each side works four at a time"
                victim.kill()
                victim.wait(10)
                killed = time.monotonic()
                # The survivor is full of long jobs, so a newcomer takes them over.
                if kind == "python":
                    start()
                else:
                    pool.restart_dead()
                for job in lost:
                    wait_until(lambda: len(ops.runs("starts", job)) > 1, 120, ops.state)
                times[kind].append(time.monotonic() - killed)
            wait_until(lambda: all(server.client.zscore(BASE + "completed", job) for job in ids), 30, ops.state)
        print("seconds until a killed worker's jobs ran again in a mixed pool:", times)
        assert_all_done_once(ops, server.client.zrange(BASE + "completed", 0, -1))
        # Rest of the lock, then up to two checks, each a gate apart.
        assert max(times["python"] + times["ferry"]) < 3 * lock / 1000 + 5, times
        for host in pool.hosts:
            host.wait_ready()
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait(10)


# MARK: Downloads


def records(server, job_ids):
    pipe = server.client.pipeline()
    for job in job_ids:
        pipe.hgetall(f"ferry:job:{job}")
    return dict(zip(job_ids, pipe.execute()))


def check_store(ministack, server, job_ids, members):
    """Every archive in the store is whole; each job's record names one; every upload left belongs to a known job."""
    s3 = ministack.s3()
    found = {}
    known = records(server, job_ids)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=ministack.bucket, Prefix="archives/"):
        for entry in page.get("Contents", []):
            job = entry["Key"].split("/")[1]
            if job not in known:
                continue
            try:
                data = s3.get_object(Bucket=ministack.bucket, Key=entry["Key"])["Body"].read()
            except s3.exceptions.NoSuchKey:
                continue  # The sweeper took it since the listing; a job that names it fails below.
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                assert archive.testzip() is None, entry["Key"]
                for name, content in members.items():
                    assert archive.read(name) == content, (entry["Key"], name)
            found.setdefault(job, []).append(entry["Key"])
    for job, fields in known.items():
        assert fields["status"] == "ready", fields
        assert fields["archive"].split(" ", 2)[2] in found[job], (fields["archive"], found.get(job))
    uploads = s3.list_multipart_uploads(Bucket=ministack.bucket).get("Uploads", [])
    mine = [upload["Key"] for upload in uploads if upload["Key"].split("/")[1] in known]
    surplus = [key for job, keys in found.items() for key in keys if key != known[job]["archive"].split(" ", 2)[2]]
    return mine, surplus


def test_downloads_whose_hosts_are_killed_are_whole(server, make_host, ministack, tmp_path):
    jobs, kills = (200, 50) if SOAK else (12, 3)
    sources = {61_001: os.urandom(9_000_000), 61_002: os.urandom(3_000_000), 61_003: b"small"}
    put_sources(ministack.s3(), ministack.bucket, sources)
    config = settings(server, DEFAULTS if SOAK else QUICK, ministack)
    front = make_host(config=config, args=("--only", "initiate,status,download-url"))
    pool = Pool(make_host, 3, config=config, args=("--only", "process,progress,complete,fail"))
    job_ids = [front.client.initiate(list(sources)) for _ in range(jobs)]

    def ended():
        return sum(fields.get("status") == "ready" for fields in records(server, job_ids).values()) == jobs

    done = disturb(
        lambda chooser: pool.kill_and_restart(chooser.randrange(3)), kills, 0.05, 1.0 if SOAK else 0.5, ended)
    assert done > kills // 3, "the jobs ended before most kills"
    for job in job_ids:
        assert front.client.finished(job, 300)["status"] == "ready"
    members = {name: content for name, content in zip(names(sources), sources.values())}
    uploads, surplus = check_store(ministack, server, job_ids, members)
    # What a killed attempt left behind is the sweeper's: never more than the killed attempts had.
    assert len(uploads) + len(surplus) <= done * 4, (uploads, surplus)
    for job in random.Random(SEED).sample(job_ids, 5):
        with zipfile.ZipFile(io.BytesIO(front.client.archive(job))) as archive:
            assert archive.testzip() is None
    pool.stop()
    if not SOAK:
        return  # The sweeper waits for a minute at least; test_expire.py makes things older instead.
    functions = tmp_path / "sweeper"
    shutil.copytree(ROOT / "functions" / "expire", functions / "expire")
    manifest = json.loads((functions / "expire" / "function.json").read_text())
    (functions / "expire" / "function.json").write_text(json.dumps({**manifest, "schedule": "* * * * * *"}))
    make_host(functions=functions, config={**config, "downloads": {**config.get("downloads", {}), "sweepGrace": "1m"}})
    wait_until(lambda: check_store(ministack, server, job_ids, members) == ([], []), 300)


@pytest.mark.parametrize("moment", ["reading", "completing"])
def test_a_worker_that_comes_back_from_the_dead_changes_nothing(
    server, make_host, ministack, fault_proxy, moment
):
    sources = {62_001: os.urandom(9_000_000), 62_002: os.urandom(2_000_000)}
    put_sources(ministack.s3(), ministack.bucket, sources)
    config = settings(server, QUICK, ministack)
    slow = {**config, **ministack.config(fault_proxy.endpoint)}
    if moment == "reading":
        rule = fault_proxy.add("GET", r"downloads/62002", pause=0.5)
    else:
        # The store makes the archive, and its answer comes late.
        rule = fault_proxy.add("POST", r"uploadId=", pause=3)
    front = make_host(config=config, args=("--only", "initiate,status,download-url"))
    zombie = make_host(config=slow, args=("--only", "process"))
    job = front.client.initiate(list(sources))

    def archives():
        listed = ministack.s3().list_objects_v2(Bucket=ministack.bucket, Prefix=f"archives/{job}/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    wait_until(lambda: rule.hits > 0 and (moment == "reading" or archives()), 60)
    zombie.process.send_signal(signal.SIGSTOP)
    try:
        assert front.client.job(job)["status"] == "processing"
        rescuer = make_host(config=config, args=("--only", "process,complete,fail"))
        assert front.client.finished(job, 60)["status"] == "ready"
        before = records(server, [job])[job]
        winner = before["archive"].split(" ", 2)[2]
        assert len(archives()) == (1 if moment == "reading" else 2)
        wait_until(lambda: server.client.zscore("bull:file-downloads:completed", job), 30)
        delivery = server.client.hgetall(f"bull:file-downloads:{job}")
    finally:
        zombie.process.send_signal(signal.SIGCONT)
    # It notices, gives up its upload and deletes its own archive.
    wait_until(lambda: archives() == [winner], 30, lambda: str(archives()))

    def uploads():
        found = ministack.s3().list_multipart_uploads(Bucket=ministack.bucket).get("Uploads", [])
        return [upload["Key"] for upload in found if job in upload["Key"]]

    wait_until(lambda: not uploads(), 30, lambda: str(uploads()))
    # Its next job shows that it is done with the last one.
    rescuer.stop()
    fault_proxy.rules.clear()
    after = front.client.initiate(list(sources))
    assert front.client.finished(after, 60)["status"] == "ready"
    assert records(server, [job])[job] == before
    assert server.client.hgetall(f"bull:file-downloads:{job}") == delivery
    with zipfile.ZipFile(io.BytesIO(front.client.archive(job))) as archive:
        for name, content in zip(names(sources), sources.values()):
            assert archive.read(name) == content
    zombie.stop()
