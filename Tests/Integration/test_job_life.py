"""The life of a job beside its straight path: shutdown in the middle, workers that die, foreign jobs on its queue."""

import json
import os
import shutil
import socket
import time
import uuid

from conftest import ROOT
from support import check_archive, wait_until
from test_faults import assert_clean
from test_main_job import names, put_sources


def slow_job(host, ministack, fault_proxy):
    """A job whose upload has begun and which then waits for a file that comes slowly."""
    sources = {51_001: os.urandom(20_000_000), 51_002: os.urandom(4_000_000)}
    put_sources(ministack.s3(), ministack.bucket, sources)
    rule = fault_proxy.add("GET", r"downloads/51002", pause=1)
    job_id = host.client.initiate(list(sources))
    wait_until(lambda: rule.hits > 0 and uploads_of(ministack, job_id), 60)
    return job_id, sources, rule


def uploads_of(ministack, job_id):
    found = ministack.s3().list_multipart_uploads(Bucket=ministack.bucket).get("Uploads", [])
    return [upload["Key"] for upload in found if job_id in upload["Key"]]


def test_shutdown_in_the_middle_cleans_up_and_loses_nothing(make_host, ministack, fault_proxy, tmp_path):
    config = ministack.config(fault_proxy.endpoint)
    config["http"] = {"drainTimeout": "300ms"}
    host = make_host(config=config)
    job_id, sources, rule = slow_job(host, ministack, fault_proxy)
    began = time.monotonic()
    assert host.stop() == 0
    assert time.monotonic() - began < 15
    assert uploads_of(ministack, job_id) == []
    host = make_host(config=config, args=("--only", "status"))
    job = host.client.job(job_id)
    assert (job["status"], job["error"]) == ("queued", None)
    assert host.stop() == 0
    fault_proxy.rules.remove(rule)
    host = make_host(config=config)
    job = host.client.finished(job_id)
    # A shutdown takes no attempt away.
    assert (job["status"], job["attempt"]) == ("ready", 1), job
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, tmp_path)
    assert len(assert_clean(ministack, job_id)) == 1


def test_a_job_whose_workers_die_again_and_again_fails(make_host, ministack, fault_proxy):
    config = ministack.config(fault_proxy.endpoint)
    config["queue"] = {
        "maxStalledCount": 0, "lockDuration": "1s", "stalledCheck": "300ms", "stalledGate": "200ms"
    }
    host = make_host(config=config)
    job_id, _, _ = slow_job(host, ministack, fault_proxy)
    assert host.client.job(job_id)["status"] == "processing"
    host.kill()
    host = make_host(config=config)
    job = host.client.finished(job_id, 60)
    assert (job["status"], job["errorCode"]) == ("failed", "unknown_error"), job
    assert "stalled" not in job["error"] and job["progress"]["estimatedTimeRemaining"] is None


def test_attempts_end_at_their_time_limit(make_host, ministack, fault_proxy, tmp_path):
    functions = tmp_path / "functions"
    for name in ("initiate", "status", "process", "progress", "complete", "fail"):
        shutil.copytree(ROOT / "functions" / name, functions / name)
    manifest = json.loads((functions / "process" / "function.json").read_text())
    (functions / "process" / "function.json").write_text(json.dumps({**manifest, "timeout": "3s"}))
    config = ministack.config(fault_proxy.endpoint)
    config["downloads"] = {"attempts": 2, "retryDelay": "200ms"}
    host = make_host(functions=functions, config=config)
    job_id, _, rule = slow_job(host, ministack, fault_proxy)
    attempts = set()

    def ended():
        job = host.client.job(job_id)
        attempts.add(job["attempt"])
        return job if job["status"] not in ("queued", "processing") else None

    job = wait_until(ended, 60)
    assert (job["status"], job["errorCode"], job["attempt"]) == ("failed", "timeout_error", 2), job
    assert attempts == {1, 2} and rule.hits == 2
    assert [file["status"] for file in job["filesProcessed"]] == ["completed", "pending"]
    assert assert_clean(ministack, job_id) == []
    # The attempt that was cut off holds no place: the next job is worked.
    fault_proxy.rules.remove(rule)
    assert host.client.finished(host.client.initiate([51_002]))["status"] == "ready"


def redis(host, *command):
    """One command to the host's private Redis."""
    with socket.socket(socket.AF_UNIX) as connection:
        path = next((host.data / "redis").glob("*.sock"))
        connection.connect(str(path))
        parts = [str(part).encode() for part in command]
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return connection.recv(1 << 20)


def test_foreign_jobs_on_the_queue_fail_for_good_and_hold_nobody_up(host):
    put_sources(host.s3(), host.bucket, {20_001: b"healthy"})
    mine = host.client.initiate([20_001])
    assert host.client.finished(mine)["status"] == "ready"
    foreign = {
        "poison-1": "no JSON",
        "poison-2": "[]",
        "poison-3": '{"jobId":"nobody","round":1}',
        "poison-4": '{"jobId":"%s","round":1}' % uuid.uuid4(),
        "poison-5": '{"jobId":"%s","round":1}' % mine,
        "poison-6": '{"jobId":"%s","round":"x"}' % mine,
    }
    prefix = "bull:file-downloads:"
    for name, data in foreign.items():
        redis(
            host, "HSET", prefix + name, "name", "foreign", "data", data, "opts", '{"attempts":3}',
            "timestamp", int(time.time() * 1000), "delay", 0, "priority", 0,
        )
        redis(host, "LPUSH", prefix + "wait", name)
    redis(host, "ZADD", prefix + "marker", 0, "0")
    after = host.client.initiate([20_001])
    assert host.client.finished(after)["status"] == "ready"

    def failed():
        members = redis(host, "ZRANGE", prefix + "failed", 0, -1)
        return all(name.encode() in members for name in foreign)

    wait_until(failed, 30, lambda: str(redis(host, "ZRANGE", prefix + "failed", 0, -1)))
    for name in foreign:
        assert redis(host, "HGET", prefix + name, "atm") == b"$1\r\n1\r\n"
    assert host.client.job(mine)["status"] == "ready"
    assert len(host.client.archive(mine)) > 0
