"""What was accepted is worked: without Redis, after Redis has lost everything, after a host was killed; and once only."""

import concurrent.futures
import contextlib
import http.client
import json
import random
import shutil
import signal
import sqlite3
import threading
import time
import uuid

import httpx
import pytest
from conftest import SOAK
from queues import RedisServer
from support import wait_until
from test_main_job import put_sources
from watching import by_stream, check, names

# Looks are more frequent than by default; the ages are Ferry's own where it matters.
QUICK = {"reconcileInterval": "300ms", "reconcileAge": "1s", "reconcileLease": "3s"}
QUEUE = {"lockDuration": "1500ms", "stalledCheck": "500ms", "stalledGate": "400ms", "maxStalledCount": 1000}
SEED = 7


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop(signal.SIGKILL)


def settings(server, ministack, tmp_path, **downloads):
    """Hosts that share one Redis, one store and one history."""
    return {
        "redis": {"url": server.url, "commandTimeout": "2s"}, "queue": QUEUE, "downloads": {**QUICK, **downloads},
        "history": {"path": str(tmp_path / "history.sqlite")}, **ministack.config(),
    }


def rows(tmp_path):
    with sqlite3.connect(f"file:{tmp_path}/history.sqlite?mode=ro", uri=True, timeout=30) as db:
        return {row[0]: row[1:] for row in db.execute("SELECT job_id, status, round, raises, archive_key FROM download_jobs")}


def empty(server):
    """The server's process dies and comes back with an empty folder."""
    server.stop(signal.SIGKILL)
    for path in server.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    server.start()


def all_finished(hosts, tmp_path, ids, timeout):
    def unfinished():
        found = rows(tmp_path)
        return [id for id in ids if id not in found or found[id][0] in ("queued", "processing")]

    wait_until(lambda: not unfinished(), timeout, lambda: f"{len(unfinished())} of {len(ids)}: {unfinished()[:3]}")
    found = rows(tmp_path)
    assert {found[id][0] for id in ids} == {"ready"}, [(id, found[id]) for id in ids if found[id][0] != "ready"][:5]
    for number, job_id in enumerate(ids):
        job = hosts[number % len(hosts)].client.job(job_id)
        assert job["status"] == "ready" and job["seq"] >> 32 == found[job_id][1], job
    return found


def archives(ministack, ids):
    """The archives of each job in the store."""
    found = {job_id: [] for job_id in ids}
    for page in ministack.s3().get_paginator("list_objects_v2").paginate(Bucket=ministack.bucket, Prefix="archives/"):
        for item in page.get("Contents", []):
            job_id = item["Key"].split("/")[1]
            if job_id in found:
                found[job_id].append(item["Key"])
    return found


@pytest.mark.parametrize("loss", ["flushed", "killed"])
def test_redis_loses_everything_amid_accepted_jobs(server, make_host, ministack, tmp_path, loss):
    count, processes = (500, 3) if SOAK else (20, 2)
    put_sources(ministack.s3(), ministack.bucket, {61_001: b"x" * 3_000_000, 61_002: b"y"})
    config = settings(server, ministack, tmp_path)
    hosts = [make_host(folder=tmp_path / f"host{number}", config=config) for number in range(processes)]
    ids, watched = [], {}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for number in range(count):
            host = hosts[number % processes]
            ids.append(host.client.initiate([61_001, 61_002]))
            if number % max(count // 10, 1) == 0:
                watched[ids[-1]] = pool.submit(watch_to_the_end, host, ids[-1])
            if number == count * 3 // 4:
                server.client.flushall() if loss == "flushed" else empty(server)
        found = all_finished(hosts, tmp_path, ids, 600 if SOAK else 90)
        assert len(set(ids)) == len(found) == count
        assert any(raises for _, _, raises, _ in found.values())
        for job_id, future in watched.items():
            assert names(check(future.result(120)))[-1] == "complete:ready", job_id
    # Each has the archive that the history names. What a worker of a lost round was storing at the moment when it was stopped
    # may be there too, until the sweeper's grace is over.
    kept = archives(ministack, ids)
    assert all(row[3] in kept[job_id] for job_id, row in found.items()), kept


def watch_to_the_end(host, job_id):
    """A watcher that comes back with its last number as often as its stream ends early."""
    messages = []
    deadline = time.monotonic() + 300
    while not messages or names(messages)[-1] not in ("complete:ready", "error:final", "status:cancelled"):
        assert time.monotonic() < deadline, names(messages)
        # A connection that broke has given what it had.
        with contextlib.suppress(httpx.HTTPError):
            by_stream(host, job_id, since=messages[-1]["seq"] if messages else None, messages=messages)
    return messages


def test_jobs_are_accepted_while_redis_is_away(server, make_host, ministack, tmp_path):
    put_sources(ministack.s3(), ministack.bucket, {61_003: b"z"})
    host = make_host(config=settings(server, ministack, tmp_path))
    ready = host.client.initiate([61_003])
    assert host.client.finished(ready)["status"] == "ready"
    server.stop(signal.SIGKILL)
    began = time.monotonic()
    ids = [host.client.initiate([61_003]) for _ in range(2)]
    assert time.monotonic() - began < 6
    job = host.client.job(ids[0])
    assert (job["status"], job["progress"]["total"]) == ("queued", 1)
    assert host.client.job(ready)["status"] == "ready" and len(host.client.archive(ready)) > 0
    assert names(by_stream(host, ready)) == ["status:ready", "complete:ready"]
    listed = host.client.get("/v1/download/jobs").json()
    assert [job["jobId"] for job in listed["jobs"]] == [*reversed(ids), ready] and listed["nextCursor"] is None
    assert host.client.get(f"/v1/download/job/{uuid.uuid4()}").status == 404
    server.start()
    all_finished([host], tmp_path, ids, 60)


def test_a_host_killed_between_accept_and_answer_loses_no_job(server, make_host, ministack, tmp_path):
    kills = 200 if SOAK else 5
    put_sources(ministack.s3(), ministack.bucket, {61_004: b"k"})
    config = settings(server, ministack, tmp_path)
    chooser = random.Random(SEED)
    told = []
    keys = []
    for _ in range(kills):
        host = make_host(folder=tmp_path / "host", config=config)
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                key = uuid.uuid4().hex
                try:
                    answer = host.client.post(
                        "/v1/download/initiate", {"file_ids": [61_004]}, headers={"idempotency-key": key}, timeout=20)
                except (OSError, http.client.HTTPException):
                    keys.append(key)
                    return
                assert answer.status == 202, answer.body
                told.append((key, answer.json()["jobId"]))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(chooser.uniform(0.01, 0.25))
        host.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
    host = make_host(folder=tmp_path / "host", config=config)
    ids = [job_id for _, job_id in told]
    assert len(set(ids)) == len(ids) > 0
    # A caller without an answer asks again, and finds its job or makes it; one with an answer gets the same.
    for key in keys:
        answer = host.client.post("/v1/download/initiate", {"file_ids": [61_004]}, headers={"idempotency-key": key})
        assert answer.status == 202, answer.body
        ids.append(answer.json()["jobId"])
    for key, job_id in chooser.sample(told, min(len(told), 20)):
        answer = host.client.post("/v1/download/initiate", {"file_ids": [61_004]}, headers={"idempotency-key": key})
        assert answer.json()["jobId"] == job_id
    found = all_finished([host], tmp_path, ids, 900 if SOAK else 120)
    assert set(found) == set(ids)


def test_many_requests_with_one_key_make_one_job(server, make_host, ministack, tmp_path):
    count = 2_000 if SOAK else 200
    config = settings(server, ministack, tmp_path)
    hosts = [
        make_host(folder=tmp_path / f"host{number}", config=config, args=("--only", "initiate,jobs")) for number in range(2)
    ]
    barrier = threading.Barrier(40)

    def ask(number):
        if number < 40:
            barrier.wait(30)
        return hosts[number % 2].client.post(
            "/v1/download/initiate", {"file_ids": [61_005]}, headers={"idempotency-key": "one-and-only"})

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, range(count)))
    assert {answer.status for answer in answers} == {202}
    assert len({(answer.body, answer.headers["location"]) for answer in answers}) == 1
    assert len(rows(tmp_path)) == 1 and len(hosts[1].client.get("/v1/download/jobs").json()["jobs"]) == 1
    assert server.client.llen("bull:file-downloads:wait") == 1
    other = hosts[0].client.post(
        "/v1/download/initiate", {"file_ids": [61_006]}, headers={"idempotency-key": "one-and-only"})
    assert other.status == 422 and other.json()["code"] == "idempotency_key_reused", other.body
    for key in ("", "a b", "x" * 256):
        bad = hosts[0].client.post("/v1/download/initiate", {"file_ids": [61_005]}, headers={"idempotency-key": key})
        assert bad.status == 400 and bad.json()["details"][0]["field"] == "Idempotency-Key", (key, bad.body)
    assert len(rows(tmp_path)) == 1


def test_what_an_operator_throws_away_stays_away(server, make_host, ministack, tmp_path):
    config = settings(server, ministack, tmp_path)
    host = make_host(config=config, args=("--only", "initiate,status,cancel"))
    gone, kept = host.client.initiate([61_007]), host.client.initiate([61_007])
    assert host.client.request("DELETE", f"/v1/download/job/{gone}").status == 202
    server.client.flushall()
    wait_until(lambda: host.client.job(kept)["seq"] >> 32 == 2, 20)
    assert server.client.lrange("bull:file-downloads:wait", 0, -1) == [kept]
    assert (host.client.job(gone)["status"], rows(tmp_path)[gone][1]) == ("cancelled", 1)


def test_the_list_of_jobs_is_paged(make_host):
    host = make_host(args=("--only", "initiate,jobs,cancel"))
    ids = [host.client.initiate([61_008]) for _ in range(5)]
    assert host.client.request("DELETE", f"/v1/download/job/{ids[1]}").status == 202
    seen, query = [], "limit=2"
    while query:
        page = host.client.get(f"/v1/download/jobs?{query}").json()
        seen += [job["jobId"] for job in page["jobs"]]
        query = page["nextCursor"] and f"limit=2&cursor={page['nextCursor']}"
        host.client.initiate([61_008])
    assert sorted(seen) == sorted(ids)
    cancelled = host.client.get("/v1/download/jobs?status=cancelled").json()["jobs"]
    assert [job["jobId"] for job in cancelled] == [ids[1]]
    assert set(cancelled[0]) == {
        "jobId", "status", "progress", "error", "errorCode", "createdAt", "updatedAt", "expiresAt"}
    bad = host.client.get("/v1/download/jobs?status=x&limit=0&cursor=%00")
    assert bad.status == 400 and json.loads(bad.body)["code"] == "validation_failed"
    assert [detail["field"] for detail in bad.json()["details"]] == ["status", "limit", "cursor"]
