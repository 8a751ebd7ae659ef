"""A store that misbehaves: skip or fail as asked, retried as configured, never a wrong archive, no upload left behind."""

import os

import pytest
from support import check_archive, wait_until
from test_main_job import names, put_sources

QUICK = {"downloads": {"fileTimeout": "3s"}, "storage": {"retryDelay": "50ms", "retryMaxDelay": "200ms", "timeout": "2s"}}


@pytest.fixture
def sources(ministack):
    sources = {50_001: os.urandom(2_500_000), 50_002: os.urandom(6_000_000), 50_003: b"tail"}
    put_sources(ministack.s3(), ministack.bucket, sources)
    return sources


@pytest.fixture
def faulty_host(make_host, ministack, fault_proxy):
    config = ministack.config(fault_proxy.endpoint)
    config["storage"].update(QUICK["storage"])
    config["downloads"] = QUICK["downloads"]
    return make_host(config=config)


def assert_clean(ministack, job_id):
    """No multipart upload of the job is left, and at most one archive."""
    s3 = ministack.s3()

    def uploads():
        return [u["Key"] for u in s3.list_multipart_uploads(Bucket=ministack.bucket).get("Uploads", []) if job_id in u["Key"]]

    wait_until(lambda: not uploads(), 20, lambda: str(uploads()))
    archives = s3.list_objects_v2(Bucket=ministack.bucket, Prefix=f"archives/{job_id}/").get("Contents", [])
    return [found["Key"] for found in archives]


def expect_whole_archive(host, ministack, sources, job_id, folder):
    job = host.client.finished(job_id, 120)
    assert job["status"] == "ready", job
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, folder)
    assert len(assert_clean(ministack, job_id)) == 1
    return job


def test_store_that_answers_503_for_a_while(faulty_host, ministack, fault_proxy, sources, tmp_path):
    rule = fault_proxy.add("GET", r"downloads/50002", times=2, status=503, body=b"<Error><Code>SlowDown</Code></Error>")
    put = fault_proxy.add("PUT", r"partNumber=1", times=2, status=503, body=b"<Error><Code>SlowDown</Code></Error>")
    job_id = faulty_host.client.initiate(list(sources))
    job = expect_whole_archive(faulty_host, ministack, sources, job_id, tmp_path)
    assert rule.hits == 2 and put.hits == 2 and job["attempt"] == 1


def test_file_cut_short_goes_on_where_it_stopped(faulty_host, ministack, fault_proxy, sources, tmp_path):
    rule = fault_proxy.add("GET", r"downloads/50002", times=2, cut_after=1_000_000)
    job_id = faulty_host.client.initiate(list(sources))
    expect_whole_archive(faulty_host, ministack, sources, job_id, tmp_path)
    assert rule.hits == 2


def test_file_cut_short_for_ever_is_never_half_in_the_archive(faulty_host, ministack, fault_proxy, sources, tmp_path):
    fault_proxy.add("GET", r"downloads/50002", cut_after=0)
    job_id = faulty_host.client.initiate(list(sources))
    job = faulty_host.client.finished(job_id, 120)
    assert job["status"] == "ready" and job["attempt"] == 3, job
    assert [f["status"] for f in job["filesProcessed"]] == ["completed", "failed", "completed"]
    left = {"50001.zip": sources[50_001], "50003.zip": sources[50_003]}
    check_archive(faulty_host.client.archive(job_id), left, tmp_path)
    assert len(assert_clean(ministack, job_id)) == 1


def test_file_cut_short_for_ever_fails_where_asked(faulty_host, ministack, fault_proxy, sources):
    fault_proxy.add("GET", r"downloads/50002", cut_after=0)
    job_id = faulty_host.client.initiate(list(sources), on_missing="fail")
    job = faulty_host.client.finished(job_id, 120)
    assert job["status"] == "failed" and job["attempt"] == job["maxAttempts"] == 3, job
    assert assert_clean(ministack, job_id) == []


def test_slow_file_is_given_up_by_its_deadline(faulty_host, ministack, fault_proxy, sources, tmp_path):
    fault_proxy.add("GET", r"downloads/50003", status=200, body=b"late", pause=20)
    job_id = faulty_host.client.initiate([50_001, 50_003])
    job = faulty_host.client.finished(job_id, 180)
    assert [f["status"] for f in job["filesProcessed"]] == ["completed", "failed"], job
    check_archive(faulty_host.client.archive(job_id), {"50001.zip": sources[50_001]}, tmp_path)


def test_missing_file_in_the_middle(faulty_host, ministack, sources, tmp_path):
    job_id = faulty_host.client.initiate([50_001, 59_999, 50_003])
    job = faulty_host.client.finished(job_id, 60)
    assert job["status"] == "ready" and job["attempt"] == 1
    check_archive(
        faulty_host.client.archive(job_id), {"50001.zip": sources[50_001], "50003.zip": sources[50_003]}, tmp_path
    )


def test_complete_that_fails_inside_a_200(faulty_host, ministack, fault_proxy, sources, tmp_path):
    body = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>try again</Message></Error>'
    rule = fault_proxy.add("POST", r"uploadId=", times=1, status=200, body=body)
    job_id = faulty_host.client.initiate(list(sources))
    expect_whole_archive(faulty_host, ministack, sources, job_id, tmp_path)
    assert rule.hits == 1


def test_complete_that_always_fails_leaves_nothing(faulty_host, ministack, fault_proxy, sources):
    body = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>never</Message></Error>'
    fault_proxy.add("POST", r"uploadId=", status=200, body=body)
    job_id = faulty_host.client.initiate(list(sources))
    job = faulty_host.client.finished(job_id, 120)
    assert job["status"] == "failed" and job["error"]
    assert assert_clean(ministack, job_id) == []


def test_store_that_is_away_makes_health_say_so(faulty_host, fault_proxy):
    fault_proxy.add("*", r".*", status=503)

    def unhealthy():
        answer = faulty_host.client.get("/health")
        return answer if answer.status == 503 else None

    health = wait_until(unhealthy, 30).json()
    assert health["status"] == "unhealthy" and health["checks"]["redis"] == health["checks"]["history"] == "ok"
    assert health["checks"]["storage"] != "ok"
