"""The main job from end to end: files become one archive behind a presigned URL."""

import json
import os
import time
import urllib.parse
import uuid
import zlib

import pytest
from conftest import SOAK, ROOT
from support import check_archive, curl, raw, resident_kib, wait_until


def put_sources(s3, bucket, sources):
    for file_id, content in sources.items():
        s3.put_object(Bucket=bucket, Key=f"downloads/{file_id}.zip", Body=content)


def names(ids):
    return [f"{file_id}.zip" for file_id in ids]


@pytest.fixture(scope="module")
def sources(host):
    sources = {
        20_001: b"hello\n", 20_002: os.urandom(3_000_000), 20_003: b"", 20_004: bytes(range(256)) * 40_000,
        20_005: os.urandom(17),
    }
    put_sources(host.s3(), host.bucket, sources)
    return sources


def test_archive_holds_every_file_byte_by_byte(host, sources, tmp_path):
    job_id = host.client.initiate(list(sources))
    job = host.client.finished(job_id)
    assert job["status"] == "ready" and job["error"] is None
    assert job["progress"]["current"] == job["progress"]["total"] == len(sources)
    assert job["progress"]["percentage"] == 100
    assert job["progress"]["bytes"] == job["progress"]["totalBytes"] == sum(map(len, sources.values()))
    assert [(f["file_id"], f["status"], f["size"]) for f in job["filesProcessed"]] == [
        (file_id, "completed", len(content)) for file_id, content in sources.items()
    ]
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, tmp_path)


def test_duplicates_count_once_and_order_is_kept(host, sources, tmp_path):
    answer = host.client.post("/v1/download/initiate", {"file_ids": [20_005, 20_001, 20_005]})
    assert answer.status == 202
    accepted = answer.json()
    assert accepted["totalFileIds"] == 2 and accepted["status"] == "queued"
    assert uuid.UUID(accepted["jobId"]).version == 4
    assert answer.headers["location"] == f"/v1/download/job/{accepted['jobId']}"
    assert int(answer.headers["retry-after"]) >= 0
    assert host.client.finished(accepted["jobId"])["status"] == "ready"
    expected = {"20005.zip": sources[20_005], "20001.zip": sources[20_001]}
    check_archive(host.client.archive(accepted["jobId"]), expected, tmp_path)


def test_archive_name_reaches_the_browser(host, sources):
    job_id = host.client.initiate([20_001], archive_name="Bericht März/2026")
    host.client.finished(job_id)
    link = host.client.get(f"/v1/download/job/{job_id}/download-url").json()
    disposition = urllib.parse.parse_qs(urllib.parse.urlparse(link["downloadUrl"]).query)["response-content-disposition"][0]
    assert disposition.startswith("attachment") and "filename*=UTF-8''" in disposition and "/2026" not in disposition
    assert link["bucket"] == host.bucket and link["expiresIn"] == 3600


def test_missing_files_are_left_out_and_listed(host, sources, tmp_path):
    import io, zipfile

    job_id = host.client.initiate([20_001, 29_999, 20_005])
    job = host.client.finished(job_id)
    assert job["status"] == "ready"
    assert [f["status"] for f in job["filesProcessed"]] == ["completed", "failed", "completed"]
    assert job["filesProcessed"][1]["error"]
    data = host.client.archive(job_id)
    check_archive(data, {"20001.zip": sources[20_001], "20005.zip": sources[20_005]}, tmp_path)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("_manifest.json"))
    listed = {entry["id"]: entry for entry in manifest["files"]}
    assert listed[29_999]["status"] == "failed" and listed[29_999]["error"]
    assert listed[20_001]["crc32"] == f"{zlib.crc32(sources[20_001]):08x}"


def test_missing_files_fail_the_job_where_asked(host, sources):
    job_id = host.client.initiate([20_001, 29_999], on_missing="fail")
    job = host.client.finished(job_id)
    assert job["status"] == "failed" and "29999" in job["error"]
    assert host.client.get(f"/v1/download/job/{job_id}/download-url").status == 409


def test_no_file_at_all_fails_with_the_reasons(host):
    job_id = host.client.initiate([29_998, 29_999])
    job = host.client.finished(job_id)
    assert job["status"] == "failed" and job["error"]
    uploads = host.s3().list_multipart_uploads(Bucket=host.bucket).get("Uploads", [])
    assert not [upload for upload in uploads if job_id in upload["Key"]]


def test_presigned_urls_hold_for_one_object_and_as_they_are(host, sources):
    first, second = host.client.initiate([20_001]), host.client.initiate([20_005])
    for job_id in (first, second):
        host.client.finished(job_id)
    url = host.client.get(f"/v1/download/job/{first}/download-url").json()["downloadUrl"]
    assert curl(url)[:2] == b"PK"
    other = host.client.get(f"/v1/download/job/{second}/download-url").json()["downloadUrl"]
    swapped = urllib.parse.urlparse(url)._replace(path=urllib.parse.urlparse(other).path).geturl()
    curl(swapped, 403)
    for place in range(len(url) - 64, len(url), 7):
        changed = url[:place] + ("0" if url[place] != "0" else "1") + url[place + 1 :]
        if changed.split("X-Amz-Signature=")[0] == url.split("X-Amz-Signature=")[0]:
            curl(changed, 403)
    curl(url.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"), 403)


def test_presigned_urls_expire(make_host):
    host = make_host(config={"downloads": {"urlLifetime": "1s"}})
    put_sources(host.s3(), host.bucket, {20_001: b"x" * 1000})
    job_id = host.client.initiate([20_001])
    host.client.finished(job_id)
    url = host.client.get(f"/v1/download/job/{job_id}/download-url").json()["downloadUrl"]
    curl(url)

    def refused():
        import subprocess

        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
        return subprocess.run(command, capture_output=True).stdout == b"403"

    wait_until(refused, 10)


def test_status_has_an_entity_tag(host, sources):
    job_id = host.client.initiate([20_001])
    host.client.finished(job_id)
    answer = host.client.get(f"/v1/download/job/{job_id}")
    tag = answer.headers["etag"]
    again = host.client.get(f"/v1/download/job/{job_id}", headers={"if-none-match": tag})
    assert again.status == 304 and again.body == b"" and again.headers["etag"] == tag
    assert host.client.get(f"/v1/download/job/{job_id}", headers={"if-none-match": '"0"'}).status == 200


def test_check_and_start_answer_for_one_file(host, sources):
    answer = host.client.post("/v1/download/check", {"file_id": 20_002})
    assert answer.json() == {
        "file_id": 20_002, "available": True, "s3Key": "downloads/20002.zip", "size": len(sources[20_002])
    }
    answer = host.client.post("/v1/download/check", {"file_id": 29_999})
    assert answer.json() == {"file_id": 29_999, "available": False, "s3Key": None, "size": None}
    answer = host.client.post("/v1/download/start", {"file_id": 20_002}).json()
    assert answer["status"] == "completed" and answer["size"] == len(sources[20_002])
    assert curl(answer["downloadUrl"]) == sources[20_002]
    answer = host.client.post("/v1/download/start", {"file_id": 29_999}).json()
    assert answer["status"] == "failed" and answer["downloadUrl"] is None


def test_many_small_files(host, tmp_path):
    count = 1000 if SOAK else 200
    sources = {30_000 + n: f"file {n}\n".encode() * (n % 50) for n in range(count)}
    put_sources(host.s3(), host.bucket, sources)
    job_id = host.client.initiate(list(sources))
    assert host.client.finished(job_id, 300)["status"] == "ready"
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, tmp_path)


def test_large_job_needs_little_memory(make_host, tmp_path):
    """4 GiB in a soak, 96 MiB otherwise; the files are sparse, so the disk hardly notices."""
    host = make_host()
    size = (1 << 30) + 12_345 if SOAK else 24 << 20
    s3 = host.s3(read_timeout=600)
    blob = tmp_path / "blob"
    with open(blob, "wb") as file:
        file.truncate(size)
    for file_id in range(40_000, 40_004):
        with open(blob, "rb") as file:
            s3.upload_fileobj(file, host.bucket, f"downloads/{file_id}.zip")
    job_id = host.client.initiate(list(range(40_000, 40_004)))
    job = host.client.finished(job_id, 1200)
    assert job["status"] == "ready", job
    link = host.client.get(f"/v1/download/job/{job_id}/download-url").json()
    assert link["fileSize"] > 4 * size
    peak = resident_kib(host.process.pid, "VmHWM")
    print(f"peak resident memory {peak // 1024} MiB for an archive of {link['fileSize']} bytes")
    assert peak < 200 * 1024
    path = tmp_path / "large.zip"
    import subprocess

    subprocess.run(["curl", "-sS", "--fail", "-m", "900", "-o", str(path), link["downloadUrl"]], check=True)
    subprocess.run(["7z", "t", str(path)], check=True, stdout=subprocess.DEVNULL, timeout=900)
    path.unlink()


def test_works_with_a_foreign_store(ministack, make_host, tmp_path):
    sources = {20_001: os.urandom(6_000_000), 20_002: b"small", 20_003: os.urandom(6_000_000)}
    put_sources(ministack.s3(), ministack.bucket, sources)
    host = make_host(config=ministack.config())
    job_id = host.client.initiate(list(sources))
    job = host.client.finished(job_id)
    assert job["status"] == "ready", job
    members = {name: content for name, content in zip(names(sources), sources.values())}
    check_archive(host.client.archive(job_id), members, tmp_path)
    link = host.client.get(f"/v1/download/job/{job_id}/download-url").json()
    assert link["bucket"] == ministack.bucket
    last = link["downloadUrl"][-1]
    curl(link["downloadUrl"][:-1] + ("0" if last != "0" else "1"), 403)


def test_history_outlives_the_host(make_host, tmp_path):
    host = make_host()
    put_sources(host.s3(), host.bucket, {20_001: b"kept"})
    job_id = host.client.initiate([20_001])
    host.client.finished(job_id)
    host.kill()
    host = make_host()
    assert host.client.job(job_id)["status"] == "ready"
    assert host.client.archive(job_id)[:2] == b"PK"


def test_a_job_under_way_survives_its_host(make_host, tmp_path):
    host = make_host()
    sources = {20_001 + n: os.urandom(2_000_000) for n in range(8)}
    put_sources(host.s3(), host.bucket, sources)
    jobs = [host.client.initiate(list(sources)) for _ in range(3)]
    host.kill()
    host = make_host()
    members = {name: content for name, content in zip(names(sources), sources.values())}
    for job_id in jobs:
        assert host.client.finished(job_id, 120)["status"] == "ready"
        check_archive(host.client.archive(job_id), members, tmp_path)
