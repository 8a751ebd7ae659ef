"""A host under requests that were made wrong on purpose: it answers as documented, and neither falls nor grows.

The seed is fixed, so a case is the same each time; one that goes wrong is printed as the bytes that it sent.
FERRY_FUZZ_SEED is another seed.
"""

import os

import pytest
from conftest import ROOT, SOAK, Host, stop_private_redis
from fuzzing import Fuzz, check_log, descriptors, growth_kib, judge_s3, memory_kib, settled
from identities import Key, KeyServer, bearer
from mutations import UNKNOWN_JOB, Mutator, S3Mutator, routes
from support import wait_until

SEED = int(os.environ.get("FERRY_FUZZ_SEED", "20240607"))
# Requests for each of the hosts below.
COUNT = 25_000 if SOAK else 1_500
# In seconds, for a quarter of them.
LIMIT = 600 if SOAK else 120
TIMES = {
    "headTimeout": "1s", "bodyTimeout": "2s", "bodyPauseTimeout": "1s", "idleTimeout": "2s", "writePauseTimeout": "2s", "pingInterval": "1s",
    "heartbeat": "500ms", "trustedProxies": ["127.0.0.1"],
}
BUDGETS = {name: {"count": 1_000_000} for name in ("jobs", "writes", "reads")} | {"streams": {"count": 10_000}}


@pytest.fixture(scope="module")
def key_server():
    server = KeyServer(Key("first"), Key("second", "EdDSA"))
    yield server
    server.stop()


@pytest.fixture(params=["none", "jwt", "none-isolated", "jwt-isolated"] if SOAK else ["none", "jwt-isolated"])
def target(request, tmp_path, key_server):
    """A host, and who calls it."""
    config = {"http": TIMES, "limits": {"budgets": BUDGETS}, "isolation": {"maxProcesses": 1, "idleTime": "1h"}}
    tokens = []
    if request.param.startswith("jwt"):
        config["identity"] = key_server.config()
        tokens = [key_server.keys[0].token("alice", life=7200), key_server.keys[1].token("bob", life=7200, role="admin")]
    host = Host(tmp_path, config=config, args=("--isolate",) if request.param.endswith("isolated") else ())
    for number in range(20_001, 20_006):
        host.s3().put_object(Bucket=host.bucket, Key=f"downloads/{number}.zip", Body=b"a file")
    yield host, tokens
    if host.process.poll() is None:
        host.stop()
    stop_private_redis(tmp_path)


def known(host, tokens):
    """Jobs in every state, cursors and tickets: what a caller can have."""
    headers = bearer(tokens[0]) if tokens else {}
    call = host.client.request

    def initiate(**more):
        answer = call("POST", "/v1/download/initiate", {"file_ids": [20_001], **more}, headers=headers)
        assert answer.status == 202, answer.body
        return answer.json()["jobId"]

    def status(job):
        return call("GET", f"/v1/download/job/{job}", headers=headers).json()["status"]

    jobs = [initiate(), initiate(archive_name="ü.zip"), initiate(on_missing="fail"), initiate()]
    wait_until(lambda: all(status(job) in ("ready", "failed") for job in jobs), 60)
    call("DELETE", f"/v1/download/job/{jobs[3]}", headers=headers)
    page = call("GET", "/v1/download/jobs?limit=1", headers=headers).json()
    tickets = {}
    if tokens:
        tickets = {job: call("POST", f"/v1/download/job/{job}/ticket", headers=headers).json()["ticket"] for job in jobs[:2]}
    return jobs + [UNKNOWN_JOB], [page["nextCursor"]] if page["nextCursor"] else [], tickets


def test_a_host_under_mutated_requests(target):
    host, tokens = target
    jobs, cursors, tickets = known(host, tokens)
    fuzz = Fuzz(host, Mutator(SEED, routes(ROOT / "functions"), jobs, cursors, tickets, tokens))
    sizes, open_files = [], None
    # The first part warms up; the others are compared.
    for part in range(4):
        fuzz.run(COUNT * (part + 1) // 4, LIMIT)
        if open_files is None:
            open_files = descriptors(host)
        settled(host, open_files)
        sizes.append(memory_kib(host))
    seconds, slowest = fuzz.slowest
    print(f"{fuzz.requests} requests in {fuzz.number} connections; {dict(sorted(fuzz.statuses.items()))}; {fuzz.kinds}")
    grown = [growth_kib(sizes[1], size) for size in sizes[2:]]
    print(f"{len(sizes[3])} processes, {sum(sizes[3].values())} KiB, grown by {grown}; the slowest was case {slowest} with {seconds:.1f} s")
    assert host.client.get("/health").status == 200
    # What an allocator keeps of a burst is given to the next one.
    assert grown[1] < (2 << 10) * len(sizes[1]) + (24 << 10), sizes
    assert "a function's process has crashed" not in host.text()
    assert host.stop() == 0, host.text()[-4000:]
    check_log(host)


def test_the_local_s3_endpoint_under_mutated_requests(tmp_path):
    host = Host(tmp_path, args=("--only", "status"))
    try:
        store = host.s3(signature_version="s3v4")
        store.put_object(Bucket=host.bucket, Key="a", Body=b"0123456789")
        upload = store.create_multipart_upload(Bucket=host.bucket, Key="m")["UploadId"]
        endpoint = host.credentials()["endpoint"]
        calls = [
            ("GET", "get_object", {"Key": "a"}), ("HEAD", "head_object", {"Key": "a"}), ("PUT", "put_object", {"Key": "b"}), ("DELETE", "delete_object", {"Key": "b"}),
            ("GET", "list_objects_v2", {}), ("GET", "list_multipart_uploads", {}), ("POST", "create_multipart_upload", {"Key": "m"}), ("GET", "list_parts", {"Key": "m", "UploadId": upload}),
            ("PUT", "upload_part", {"Key": "m", "UploadId": upload, "PartNumber": 1}), ("POST", "complete_multipart_upload", {"Key": "m", "UploadId": upload}),
        ]
        signed = [(method, store.generate_presigned_url(name, {"Bucket": host.bucket, **more}, 3600)[len(endpoint) :]) for method, name, more in calls]
        mutator = S3Mutator(SEED, signed, endpoint.rpartition("/")[2])
        fuzz = Fuzz(host, mutator, port=int(endpoint.rpartition(":")[2]), judge=judge_s3)
        fuzz.run(20_000 if SOAK else 600, LIMIT)
        print(f"{fuzz.requests} requests; {dict(sorted(fuzz.statuses.items()))}; the slowest {fuzz.slowest}")
        store.put_object(Bucket=host.bucket, Key="a", Body=b"again")
        assert store.get_object(Bucket=host.bucket, Key="a")["Body"].read() == b"again"
        assert host.stop() == 0, host.text()[-4000:]
        check_log(host)
    finally:
        if host.process.poll() is None:
            host.stop()
        stop_private_redis(tmp_path)
