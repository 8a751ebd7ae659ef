"""Jobs that are given up and tried again, on a real host: what the routes answer, and what is left in every store."""

import concurrent.futures
import time
import uuid

import pytest
from support import check_archive, wait_until
from test_faults import assert_clean
from test_job_life import redis, slow_job, uploads_of
from test_main_job import names, put_sources

PREFIX = "bull:file-downloads:"


def cancel(host, job_id, expected=202):
    answer = host.client.request("DELETE", f"/v1/download/job/{job_id}")
    assert answer.status == expected, (answer.status, answer.body)
    return answer


def retry(host, job_id, expected=202):
    """Asks for a retry, again for as long as a worker has not let go of the job."""

    def answered():
        answer = host.client.post(f"/v1/download/job/{job_id}/retry")
        if answer.status == 409 and answer.json()["code"] == "still_active":
            assert answer.headers["retry-after"] == "1"
            return None
        return answer

    answer = wait_until(answered, 20)
    assert answer.status == expected, (answer.status, answer.body)
    return answer


def expect_retried(host, job_id):
    before = host.client.job(job_id)
    answer = retry(host, job_id)
    body = answer.json()
    assert body.pop("message")
    assert body == {"jobId": job_id, "status": "queued"}
    assert answer.headers["location"] == f"/v1/download/job/{job_id}"
    after = host.client.job(job_id)
    # The next round, and not a step within the last one.
    assert after["seq"] >> 32 == (before["seq"] >> 32) + 1
    assert after["createdAt"] == before["createdAt"]


def queue_state(host, job_id):
    """In which of the queue's keys the job is."""
    found = []
    for kind in ("wait", "active", "paused"):
        if job_id.encode() in redis(host, "LRANGE", PREFIX + kind, 0, -1):
            found.append(kind)
    for kind in ("completed", "failed", "delayed", "prioritized"):
        if not redis(host, "ZSCORE", PREFIX + kind, job_id).startswith(b"$-1"):
            found.append(kind)
    return found


@pytest.fixture
def slow_host(make_host, ministack, fault_proxy):
    return make_host(config=ministack.config(fault_proxy.endpoint))


def test_a_failed_job_is_worked_again(host, tmp_path):
    job_id = host.client.initiate([31_001])
    assert host.client.finished(job_id)["status"] == "failed"
    put_sources(host.s3(), host.bucket, {31_001: b"there at last"})
    expect_retried(host, job_id)
    job = host.client.finished(job_id)
    assert (job["status"], job["attempt"], job["error"]) == ("ready", 1, None)
    check_archive(host.client.archive(job_id), {"31001.zip": b"there at last"}, tmp_path)
    assert wait_until(lambda: queue_state(host, job_id) == ["completed"], 20)


def test_an_archive_is_deleted_and_made_anew(host, tmp_path):
    put_sources(host.s3(), host.bucket, {31_002: b"twice"})
    job_id = host.client.initiate([31_002])
    assert host.client.finished(job_id)["status"] == "ready"
    assert cancel(host, job_id).json() == {"jobId": job_id, "status": "expired"}
    prefix = f"archives/{job_id}/"
    assert host.s3().list_objects_v2(Bucket=host.bucket, Prefix=prefix).get("Contents", []) == []
    assert host.client.job(job_id)["status"] == "expired"
    assert host.client.get(f"/v1/download/job/{job_id}/download-url").status == 410
    assert cancel(host, job_id, 409).json()["code"] == "wrong_state"
    expect_retried(host, job_id)
    assert host.client.finished(job_id)["status"] == "ready"
    check_archive(host.client.archive(job_id), {"31002.zip": b"twice"}, tmp_path)
    assert [o["Key"] for o in host.s3().list_objects_v2(Bucket=host.bucket, Prefix=prefix)["Contents"]] == [
        f"{prefix}2-1.zip"
    ]


def test_a_queued_job_is_cancelled_and_tried_again(make_host, tmp_path):
    host = make_host(args=("--only", "initiate,status,retry,cancel"))
    put_sources(host.s3(), host.bucket, {31_003: b"patience"})
    job_id = host.client.initiate([31_003])
    assert host.client.job(job_id)["status"] == "queued" and queue_state(host, job_id) == ["wait"]
    assert retry(host, job_id, 409).headers["retry-after"] == "1"
    assert cancel(host, job_id).json() == {"jobId": job_id, "status": "cancelled"}
    assert host.client.job(job_id)["status"] == "cancelled"
    assert queue_state(host, job_id) == [] and redis(host, "EXISTS", PREFIX + job_id) == b":0\r\n"
    cancel(host, job_id, 409)
    expect_retried(host, job_id)
    # All of Redis is lost: the history knows the job, nobody will work it, and its owner may begin anew.
    assert redis(host, "FLUSHALL") == b"+OK\r\n"
    assert host.client.job(job_id)["status"] == "queued"
    assert cancel(host, job_id).json()["status"] == "cancelled"
    expect_retried(host, job_id)
    assert host.client.job(job_id)["seq"] >> 32 == 3
    assert host.stop() == 0
    host = make_host()
    assert host.client.finished(job_id)["status"] == "ready"
    check_archive(host.client.archive(job_id), {"31003.zip": b"patience"}, tmp_path)


@pytest.mark.parametrize("lost", ["queue", "everything"])
def test_a_retry_needs_nothing_of_redis(make_host, lost):
    host = make_host()
    job_id = host.client.initiate([31_004])
    assert host.client.finished(job_id)["status"] == "failed"
    wait_until(lambda: queue_state(host, job_id) == ["failed"], 20)
    put_sources(host.s3(), host.bucket, {31_004: b"x"})
    if lost == "queue":
        redis(host, "DEL", PREFIX + job_id, *(PREFIX + key for key in ("wait", "failed", "completed", "meta", "marker")))
    else:
        redis(host, "FLUSHALL")
    expect_retried(host, job_id)
    assert host.client.finished(job_id)["status"] == "ready"


def test_a_job_in_mid_upload_stops_within_a_second(slow_host, ministack, fault_proxy, tmp_path):
    host = slow_host
    job_id, sources, rule = slow_job(host, ministack, fault_proxy)
    assert host.client.job(job_id)["status"] == "processing"
    assert retry(host, job_id, 409).json()["code"] == "wrong_state"
    began = time.monotonic()
    assert cancel(host, job_id).json() == {"jobId": job_id, "status": "cancelled"}
    assert host.client.job(job_id)["status"] == "cancelled"
    wait_until(lambda: queue_state(host, job_id) == ["completed"], 10)
    took = time.monotonic() - began
    assert took < 1.5, took  # One second, and what the machine needs.
    assert b'"status":"cancelled"' in redis(host, "HGET", PREFIX + job_id, "returnvalue")
    assert assert_clean(ministack, job_id) == []
    # The stream of the slow file was closed: nothing more is read for this job.
    requests = len(fault_proxy.requests)
    assert host.client.job(job_id)["status"] == "cancelled"
    assert len([path for _, path in fault_proxy.requests[requests:] if job_id in path or "51002" in path]) == 0
    fault_proxy.rules.remove(rule)
    expect_retried(host, job_id)
    assert host.client.finished(job_id)["status"] == "ready"
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, tmp_path)
    assert assert_clean(ministack, job_id) == [f"archives/{job_id}/2-1.zip"]


def test_a_retry_waits_for_the_worker_to_let_go(slow_host, ministack, fault_proxy):
    job_id, _, rule = slow_job(slow_host, ministack, fault_proxy)
    # While the worker gives its upload up it still holds the job.
    fault_proxy.add("DELETE", r"uploadId=", times=1, status=204, pause=1.5)
    cancel(slow_host, job_id)
    answers = []

    def accepted():
        answer = slow_host.client.post(f"/v1/download/job/{job_id}/retry")
        answers.append((answer.status, answer.json().get("code")))
        return answer.status == 202

    wait_until(accepted, 20, lambda: str(answers[-3:]))
    assert set(answers[:-1]) == {(409, "still_active")}
    fault_proxy.rules.remove(rule)
    assert slow_host.client.finished(job_id)["status"] == "ready"
    assert slow_host.client.job(job_id)["seq"] >> 32 == 2


def test_a_job_between_two_attempts_is_cancelled(make_host, ministack, fault_proxy):
    config = ministack.config(fault_proxy.endpoint)
    config["downloads"] = {"retryDelay": "60s"}
    config["storage"].update({"retryDelay": "50ms", "retryMaxDelay": "100ms"})
    host = make_host(config=config)
    put_sources(ministack.s3(), ministack.bucket, {31_005: b"x"})
    rule = fault_proxy.add("PUT", r"archives/", status=503)
    job_id = host.client.initiate([31_005])
    wait_until(lambda: queue_state(host, job_id) == ["delayed"], 60)
    assert host.client.job(job_id)["status"] == "queued"
    assert cancel(host, job_id).json()["status"] == "cancelled"
    assert queue_state(host, job_id) == []
    fault_proxy.rules.remove(rule)
    expect_retried(host, job_id)
    # A new round does not wait for the old one's back-off.
    assert host.client.finished(job_id, 30)["status"] == "ready"


def test_of_concurrent_callers_one_succeeds(host):
    put_sources(host.s3(), host.bucket, {31_006: b"x"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:

        def at_once(method, path):
            answers = list(pool.map(lambda _: host.client.request(method, path), range(8)))
            return sorted(answer.status for answer in answers)

        for _ in range(5):
            job_id = host.client.initiate([31_006])
            assert at_once("DELETE", f"/v1/download/job/{job_id}") == [202] + [409] * 7
            job = host.client.job(job_id)
            assert job["status"] in ("cancelled", "expired")
            # The worker may have had it.
            wait_until(lambda: queue_state(host, job_id) in ([], ["completed"]), 20)
            assert at_once("POST", f"/v1/download/job/{job_id}/retry") == [202] + [409] * 7
            assert host.client.finished(job_id)["status"] == "ready"
            assert host.client.job(job_id)["seq"] >> 32 == 2
            cancel(host, job_id)
            left = host.s3().list_objects_v2(Bucket=host.bucket, Prefix=f"archives/{job_id}/")
            assert left.get("Contents", []) == []


def test_cancelling_at_any_moment_leaves_one_truth(host):
    put_sources(host.s3(), host.bucket, {31_007: b"x" * 100_000, 31_008: b"y"})
    ids = []
    for turn in range(30):
        job_id = host.client.initiate([31_007, 31_008])
        time.sleep(turn * 0.002)  # Not to wait for anything: to meet each moment of a short job.
        assert cancel(host, job_id).json()["status"] in ("cancelled", "expired")
        ids.append(job_id)
    for job_id in ids:
        wait_until(lambda: queue_state(host, job_id) in ([], ["completed"]), 20, lambda: str(queue_state(host, job_id)))
        assert host.client.job(job_id)["status"] in ("cancelled", "expired")
        left = host.s3().list_objects_v2(Bucket=host.bucket, Prefix=f"archives/{job_id}/")
        assert left.get("Contents", []) == []
    assert host.s3().list_multipart_uploads(Bucket=host.bucket).get("Uploads", []) == []


@pytest.mark.parametrize("method, tail", [("DELETE", ""), ("POST", "/retry")])
def test_errors_have_the_one_shape(host, method, tail):
    unknown = host.client.request(method, f"/v1/download/job/{uuid.uuid4()}{tail}")
    assert unknown.status == 404
    error = unknown.json()
    assert (error["error"], error["code"]) == ("Not Found", "not_found") and error["requestId"]
    malformed = host.client.request(method, f"/v1/download/job/nonsense{tail}")
    assert malformed.status == 400 and malformed.json()["code"] == "validation_failed"
    assert malformed.json()["details"] == [{"field": "jobId", "problem": "must be a UUID of version 4"}]
    other = host.client.request("PUT", f"/v1/download/job/{uuid.uuid4()}{tail}")
    assert other.status == 405 and method in other.headers["allow"]
    put_sources(host.s3(), host.bucket, {31_009: b"x"})
    job_id = host.client.initiate([31_009])
    assert host.client.finished(job_id)["status"] == "ready"
    if method == "DELETE":
        cancel(host, job_id)
    wrong = host.client.request(method, f"/v1/download/job/{job_id}{tail}")
    assert wrong.status == 409
    error = wrong.json()
    assert (error["error"], error["code"]) == ("Conflict", "wrong_state") and error["message"] and error["requestId"]
