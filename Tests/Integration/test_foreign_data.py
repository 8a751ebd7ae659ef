"""What others write into Redis and into the history's database: an error at most, for what was written, and work goes on."""

import json
import random
import sqlite3
import uuid

import pytest
import redis as redis_py
from conftest import ROOT, SOAK
from fuzzing import ERROR_KEYS
from mutations import LITERALS, NUMBERS, TEXTS
from support import wait_until
from test_functions import ferry

SEED = 11
VALUES = [*TEXTS, *NUMBERS, *LITERALS, "-----------", "fffffffffff", "ready", "1 9223372036854775807", "9223372036854775807 0 - -", "p" * 20_000]
FIELDS = [
    "status", "round", "seq", "claim", "owner", "options", "ids", "files", "sizes", "errors", "progress", "attempt", "error", "upload", "archive",
    "created", "updated", "expires",
]
ROUTES = [
    ("GET", "/v1/download/job/{}"), ("GET", "/v1/download/job/{}?wait=1"), ("GET", "/v1/download/job/{}/download-url"), ("POST", "/v1/download/job/{}/retry"),
    ("GET", "/v1/download/stream/{}"), ("DELETE", "/v1/download/job/{}"),
]
QUICK = {"reconcileInterval": "200ms", "reconcileAge": "500ms", "reconcileLease": "2s"}
LOCKS = {"lockDuration": "1s", "stalledCheck": "300ms", "stalledGate": "250ms"}
QUEUE = "bull:file-downloads:"


@pytest.fixture
def host(make_host):
    host = make_host(config={"downloads": QUICK, "queue": LOCKS, "http": {"idleTimeout": "5s"}})
    host.s3().put_object(Bucket=host.bucket, Key="downloads/20001.zip", Body=b"a file")
    return host


def connect(host):
    return redis_py.Redis(unix_socket_path=str(host.data / "redis" / "redis.sock"), socket_timeout=None)


def ask(host, job):
    """Asks for a job in every way; all answers are whole, and errors have their shape."""
    for method, path in ROUTES:
        answer = host.client.request(method, path.format(job), timeout=20)
        if answer.status >= 400:
            error = answer.json()
            assert set(error) <= ERROR_KEYS and error["requestId"] == answer.headers["x-request-id"], answer.body
            assert answer.status in (400, 404, 409, 410, 500, 503), (method, path, answer.status, answer.body)
            # What is in the stores is nobody's business.
            assert answer.status < 500 or "corrupt" not in error["message"], error
        elif answer.headers["content-type"] == "application/json":
            answer.json()
    assert host.process.poll() is None, host.text()[-4000:]


def expect_work(host):
    """The host still does what it is there for."""
    job = host.client.initiate([20_001])
    assert host.client.finished(job, 60)["status"] == "ready", host.text()[-4000:]


def test_records_that_others_wrote(host):
    random_ = random.Random(SEED)
    server = connect(host)
    host.client.finished(host.client.initiate([20_001]))
    template = host.client.initiate([20_001, 20_002])
    host.client.finished(template)
    record = server.hgetall(f"ferry:job:{template}")
    assert set(field.decode() for field in record) == set(FIELDS)
    for number in range(400 if SOAK else 40):
        job = str(uuid.uuid4())
        key = f"ferry:job:{job}"
        if number % 10 == 0:
            random_.choice([
                lambda: server.set(key, "x"), lambda: server.rpush(key, "x"), lambda: server.hset(key, "status", "ready"), lambda: server.zadd(key, {"x": 1}),
            ])()
        else:
            changed = {field: random_.choice(VALUES) for field in random_.sample(FIELDS, random_.randint(1, 3))}
            server.hset(key, mapping={**record, **{field.encode(): value.encode("utf-8", "surrogatepass") for field, value in changed.items()}})
        server.publish(f"job:{job}", random_.choice(VALUES).encode())
        ask(host, job)
    expect_work(host)


def test_jobs_and_events_that_others_put_into_the_queue(host):
    random_ = random.Random(SEED)
    server = connect(host)
    host.client.finished(host.client.initiate([20_001]))
    known = host.client.initiate([20_001])
    host.client.finished(known)
    for number in range(300 if SOAK else 60):
        job = random_.choice([str(uuid.uuid4()), known, f"x{number}", "", "a:b", "é"])
        data = random_.choice([
            random_.choice(VALUES), json.dumps({"jobId": job, "round": random_.choice([0, 1, -1, 2**31, 2**63 - 1]), "totalFiles": 1}),
            '{"jobId":%s,"round":%s}' % (random_.choice(LITERALS), random_.choice(NUMBERS)),
        ])
        if job != known:
            fields = {"name": random_.choice(["download", ""]), "data": data, "opts": random_.choice(['{"attempts":1}', random_.choice(VALUES)]), "timestamp": "1", "delay": "0", "priority": "0"}
            server.hset(QUEUE + job, mapping={name: value.encode("utf-8", "surrogatepass") for name, value in fields.items()})
            server.lpush(QUEUE + "wait", job)
        event = random_.choice(["completed", "failed", "progress", "waiting", "added", ""])
        entry = {"event": event, "jobId": job, random_.choice(["data", "returnvalue", "failedReason", "x"]): random_.choice([data, random_.choice(VALUES)])}
        server.xadd(QUEUE + "events", {name: value.encode("utf-8", "surrogatepass") for name, value in entry.items()})
    server.zadd(QUEUE + "marker", {"0": 0})
    wait_until(lambda: server.llen(QUEUE + "wait") == 0 and server.llen(QUEUE + "active") == 0, 60, lambda: host.text()[-3000:])
    for name in ("uploads", "archives"):
        server.set(f"ferry:sweep:{name}", "no place")
    expect_work(host)
    assert host.client.job(known)["status"] == "ready"


COLUMNS = {
    "options": ["{", "", "null", "[]", '{"archiveName":7}', "\0"], "file_ids": ["", "x", "[1,x]", "[9223372036854775807]", "[99999999999999999999]", "[" + "1," * 20_000 + "1]"],
    "status": ["", "weird", "Ready"], "round": [0, -1, 2**20, 2**63 - 1, "x"], "created_at": [2**63 - 1, -(2**63), "x", 1.5], "updated_at": [2**63 - 1, -(2**63), "x"],
    "expires_at": [2**63 - 1, -(2**63), "x"], "archive_size": [-1, 2**63 - 1, "x"], "archive_crc32": [-1, 2**40, "x"], "raises": [2**63 - 1, -1, "x"],
    "error_message": ["\x1b[31m\r\n", b"\xff\xfe", "x" * 100_000], "processed_files": [-1, 2**63 - 1, "x"],
}


def test_rows_that_others_wrote(host):
    database = sqlite3.connect(host.data / "history.sqlite", timeout=30, isolation_level=None)
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("PRAGMA ignore_check_constraints = ON")
    server = connect(host)
    bad = []
    for column, values in COLUMNS.items():
        for value in values if SOAK else values[:3]:
            job = host.client.initiate([20_001])
            host.client.finished(job)
            try:
                database.execute(f"UPDATE download_jobs SET {column} = ? WHERE job_id = ?", (value, job))
            except sqlite3.IntegrityError:
                continue
            # Only the history knows it now.
            server.delete(f"ferry:job:{job}")
            bad.append(job)
            ask(host, job)
            answer = host.client.get("/v1/download/jobs")
            assert answer.status == 200 and answer.json()["jobs"] is not None, answer.body
    assert len(bad) > 10
    expect_work(host)
    good = host.client.initiate([20_001])
    host.client.finished(good)
    # A bad row of one job is no other's trouble: it is left out, and what is lost is found.
    shown = [job["jobId"] for job in host.client.get("/v1/download/jobs?limit=100").json()["jobs"]]
    assert good in shown
    database.execute("UPDATE download_jobs SET status = 'queued', file_ids = 'x', updated_at = 1 WHERE job_id = ?", (bad[0],))
    lost = host.client.initiate([20_001])
    host.client.finished(lost)
    database.execute("UPDATE download_jobs SET status = 'queued', archive_key = NULL, archive_size = NULL, archive_crc32 = NULL WHERE job_id = ?", (lost,))
    server.delete(f"ferry:job:{lost}", QUEUE + lost)
    server.zrem(QUEUE + "completed", lost)
    assert host.client.finished(lost, 60)["status"] == "ready", host.text()[-4000:]


def test_files_that_are_wrong_end_the_start_with_their_places(tmp_path):
    random_ = random.Random(SEED)
    manifests = sorted((ROOT / "functions").glob("*/function.json"))
    config = {
        "http": {"listen": ["127.0.0.1:0"], "headTimeout": "20s", "trustedProxies": ["10.0.0.0/8"]}, "storage": {"port": 0, "bucket": "ferry"},
        "downloads": {"sourceKey": "downloads/{file_id}.zip", "attempts": 3}, "log": {"level": "info"}, "limits": {"budgets": {"own": {"per": "user", "count": 1}}},
    }
    refused = 0
    for number in range(100 if SOAK else 24):
        folder = tmp_path / str(number)
        texts = {}
        for manifest in random_.sample(manifests, 3):
            function = folder / "functions" / manifest.parent.name
            function.mkdir(parents=True)
            for source in manifest.parent.glob("*.swift"):
                (function / source.name).write_bytes(source.read_bytes())
            texts[function / "function.json"] = spoil(random_, manifest.read_text())
        texts[folder / "config.json"] = spoil(random_, json.dumps(config, indent=2))
        for path, text in texts.items():
            path.write_bytes(text)
        options = ("--functions", folder / "functions", "--config", folder / "config.json")
        found = ferry("validate", *options)
        assert found.returncode in (0, 1), (found, texts)
        output = found.stdout + found.stderr
        assert all(ord(char) >= 32 or char == "\n" for char in output), (output, texts)
        places = 0
        for line in output.splitlines():
            for path, text in texts.items():
                if line.startswith(f"{path}:"):
                    row, _, rest = line[len(str(path)) + 1 :].partition(":")
                    column = rest.partition(":")[0]
                    if not row.isdigit():
                        continue
                    rows = text.split(b"\n")
                    assert 1 <= int(row) <= len(rows) and 1 <= int(column) <= len(rows[int(row) - 1]) + 1, (line, text)
                    places += 1
        assert found.returncode == 0 or places, (output, texts)
        if found.returncode and number % 4 == 0 and f"{folder / 'config.json'}:" in output:
            refused += 1
            started = ferry("serve", *options, "--data", folder / "data")
            assert started.returncode == 1 and str(folder / "config.json") in started.stdout + started.stderr, started
    assert refused


def spoil(random_, text):
    """The text after a few accidents."""
    for _ in range(random_.randint(0, 3)):
        place = random_.randrange(len(text) + 1)
        piece = random_.choice([*LITERALS, *NUMBERS, *TEXTS[:20], ",", "}", "\n"])
        text = random_.choice([
            text[:place] + piece + text[place:], text[:place] + text[place + random_.randint(1, 9) :], text[:place], text.replace('"', piece, 1),
            text[:place] + text[max(0, place - 20) :],
        ])
    return text.encode("utf-8", "surrogatepass")
