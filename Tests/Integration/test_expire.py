"""The scheduled function that clears away: what time has ended, and what workers that died have left."""

import json
import os
import shutil
import sqlite3
import time
import uuid

from conftest import ROOT
from support import wait_until
from test_job_life import redis
from test_main_job import put_sources

DAY = 86_400_000


def age(host, column, job_id, milliseconds):
    """Makes a job older in the history, as if it had been accepted earlier."""
    with sqlite3.connect(host.data / "history.sqlite", timeout=20) as database:
        database.execute(
            f"UPDATE download_jobs SET {column} = {column} - ? WHERE job_id = ?", (milliseconds, job_id)
        )


def row(host, job_id):
    with sqlite3.connect(host.data / "history.sqlite", timeout=20) as database:
        return database.execute("SELECT status, round FROM download_jobs WHERE job_id = ?", (job_id,)).fetchone()


def keys(host, prefix="archives/"):
    found = host.s3().list_objects_v2(Bucket=host.bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"] for entry in found}


def uploads(host):
    return {u["UploadId"] for u in host.s3().list_multipart_uploads(Bucket=host.bucket).get("Uploads", [])}


def put_old(host, key, seconds=4000):
    host.s3().put_object(Bucket=host.bucket, Key=key, Body=b"x")
    then = time.time() - seconds
    os.utime(host.data / "s3" / "buckets" / host.bucket / "objects" / key, (then, then))


def begin_old(host, key, seconds=4000):
    upload = host.s3().create_multipart_upload(Bucket=host.bucket, Key=key)["UploadId"]
    [record] = [
        path for path in (host.data / "s3" / "buckets" / host.bucket / "uploads").rglob("*")
        if path.is_file() and upload in str(path) and b"initiated " in path.read_bytes()
    ]
    lines = record.read_text().splitlines(keepends=True)
    then = int((time.time() - seconds) * 1000)
    record.write_text("".join(f"initiated {then}\n" if line.startswith("initiated ") else line for line in lines))
    return upload


def test_what_is_over_goes_and_what_lives_stays(make_host, tmp_path):
    functions = tmp_path / "functions"
    shutil.copytree(ROOT / "functions", functions)
    manifest = json.loads((functions / "expire" / "function.json").read_text())
    (functions / "expire" / "function.json").write_text(json.dumps({**manifest, "schedule": "* * * * * *"}))
    host = make_host(functions=functions)
    put_sources(host.s3(), host.bucket, {32_001: b"x"})
    over, forgotten, kept = (host.client.initiate([32_001]) for _ in range(3))
    for job_id in (over, forgotten, kept):
        assert host.client.finished(job_id)["status"] == "ready"
    assert host.client.request("DELETE", f"/v1/download/job/{forgotten}").status == 202
    foreign, young = "archives/README", f"archives/{uuid.uuid4()}/1-1.zip"
    put_old(host, foreign)
    host.s3().put_object(Bucket=host.bucket, Key=young, Body=b"x")
    begun = host.s3().create_multipart_upload(Bucket=host.bucket, Key=young)["UploadId"]
    left = f"archives/{uuid.uuid4()}/1-1.zip"
    put_old(host, left)
    orphan = begin_old(host, left)
    age(host, "expires_at", over, 8 * DAY)
    age(host, "updated_at", forgotten, 31 * DAY)

    def is_swept():
        return (
            host.client.job(over)["status"] == "expired" and row(host, over) == ("expired", 1)
            and row(host, forgotten) is None and left not in keys(host) and orphan not in uploads(host)
        )

    wait_until(is_swept, 60, lambda: f"{row(host, over)} {row(host, forgotten)} {keys(host)} {uploads(host)}")
    assert keys(host) == {foreign, young, f"archives/{kept}/1-1.zip"} and uploads(host) == {begun}
    assert host.client.get(f"/v1/download/job/{forgotten}").status == 404
    assert redis(host, "EXISTS", f"ferry:job:{forgotten}") == b":0\r\n"
    assert host.client.get(f"/v1/download/job/{over}/download-url").status == 410
    assert len(host.client.archive(kept)) > 0
    # And once more from the start.
    answer = host.client.post(f"/v1/download/job/{over}/retry")
    assert answer.status == 202, answer.body
    assert host.client.finished(over)["status"] == "ready"
    assert len(host.client.archive(over)) > 0


def test_the_function_is_scheduled_every_five_minutes():
    manifest = json.loads((ROOT / "functions" / "expire" / "function.json").read_text())
    # A run ends before the next one is due.
    assert (manifest["schedule"], manifest["timeout"]) == ("*/5 * * * *", "240s")
