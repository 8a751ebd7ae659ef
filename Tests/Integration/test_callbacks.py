"""Receivers are told how jobs end: signed, tried again, once in the end; and the host's own network is kept from them."""

import signal
import sqlite3
import time

import pytest
from queues import RedisServer
from receivers import SECRET, Receiver
from support import curl, wait_until
from test_main_job import put_sources
from test_reconcile import QUICK, QUEUE

FAST = {"secret": SECRET, "allow": ["127.0.0.0/8", "::1"], "allowHTTP": True, "retryDelay": "300ms"}
USER = {"x-user-id": "ann-the-owner"}


@pytest.fixture
def receiver():
    made = []

    def make(*statuses, **options):
        made.append(Receiver(*statuses, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop(signal.SIGKILL)


def initiate(host, url, ids=(61_101,), headers=None):
    answer = host.client.post("/v1/download/initiate", {"file_ids": list(ids), "callback_url": url}, headers=headers)
    assert answer.status == 202, answer.body
    return answer.json()["jobId"]


def callback(host, job_id, headers=None):
    answer = host.client.get(f"/v1/download/job/{job_id}", headers=headers)
    assert answer.status == 200, answer.body
    return answer.json()["callback"]


def settled(host, job_id, headers=None, timeout=60):
    def ended():
        found = callback(host, job_id, headers)
        return found if found["status"] != "pending" else None

    return wait_until(ended, timeout, lambda: f"{callback(host, job_id, headers)}\n{host.text()[-3000:]}")


@pytest.mark.parametrize("isolated", [False, True], ids=["one process", "isolated"])
def test_a_receiver_that_fails_twice_is_told_in_the_end(make_host, receiver, isolated):
    identity = {"mode": "header"}
    host = make_host(
        config={"callbacks": FAST, "identity": identity, "http": {"trustedProxies": ["127.0.0.1"]}},
        args=("--isolate",) if isolated else ())
    put_sources(host.s3(), host.bucket, {61_101: b"told"})
    hook = receiver(500, 503, 204)
    job_id = initiate(host, hook.url(), headers=USER)
    found = settled(host, job_id, USER)
    assert (found["status"], found["attempts"], found["lastStatus"], found["lastError"]) == ("delivered", 3, 204, None)
    assert found["url"] == hook.url() and found["deliveredAt"].endswith("Z")
    assert not hook.problems
    assert hook.ids() == [f"{job_id}-1-ready"] * 3
    assert [call["headers"]["Ferry-Attempt"] for call in hook.calls] == ["1", "2", "3"]
    assert {call["path"] for call in hook.calls} == {"/hook?key=top-secret"}
    body = hook.bodies[-1]
    assert (body["id"], body["type"], body["jobId"]) == (f"{job_id}-1-ready", "ready", job_id)
    shown = host.client.get(f"/v1/download/job/{job_id}", headers=USER).json()
    del shown["callback"]
    assert body["job"] == shown
    assert len(curl(body["downloadUrl"])) == body["fileSize"]
    assert all(b"ann-the-owner" not in call["body"] for call in hook.calls)
    # The archive is thrown away, and that is told under a name of its own.
    assert host.client.request("DELETE", f"/v1/download/job/{job_id}", headers=USER).status == 202
    wait_until(lambda: hook.ids("expired") == [f"{job_id}-1-expired"], 60, host.text)
    assert settled(host, job_id, USER)["attempts"] == 1
    assert "top-secret" not in host.text() and "ann-the-owner" not in str(hook.bodies)


def test_a_failure_is_told_and_gone_ends_it(make_host, receiver):
    host = make_host(config={"callbacks": FAST})
    hook = receiver(410)
    answer = host.client.post(
        "/v1/download/initiate", {"file_ids": [61_102], "on_missing": "fail", "callback_url": hook.url()})
    job_id = answer.json()["jobId"]
    found = settled(host, job_id)
    assert (found["status"], found["attempts"], found["lastStatus"]) == ("failed", 1, 410)
    assert hook.bodies[0]["type"] == "failed" and hook.bodies[0]["job"]["error"] and "downloadUrl" not in hook.bodies[0]


def test_redirects_are_not_followed(make_host, receiver):
    host = make_host(config={"callbacks": {**FAST, "attempts": 2}})
    put_sources(host.s3(), host.bucket, {61_103: b"r"})
    target = receiver(200)
    hook = receiver(307, headers={"location": target.url()})
    found = settled(host, initiate(host, hook.url(), [61_103]))
    assert (found["status"], found["attempts"], found["lastStatus"]) == ("failed", 2, 307)
    assert len(hook.calls) == 2 and not target.calls


def test_the_hosts_own_network_is_kept_from_receivers(make_host, receiver):
    host = make_host(config={"callbacks": {"allowHTTP": True}})
    put_sources(host.s3(), host.bucket, {61_104: b"s"})
    hook = receiver(200)
    for number in ("127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254",
                   "10.0.0.1", "0.0.0.0", "[64:ff9b::a00:1]", "user@8.8.8.8", "8.8.8.8\\@x", "m\u00fcller.example"):
        answer = host.client.post(
            "/v1/download/initiate", {"file_ids": [61_104], "callback_url": f"http://{number}:{hook.port}/"})
        assert answer.status == 400 and answer.json()["details"][0]["field"] == "callback_url", (number, answer.body)
    # What only a look at the name tells is refused before anything is connected to.
    for name in ("localhost", "LOCALHOST."):
        found = settled(host, initiate(host, hook.url(host=name), [61_104]))
        assert (found["status"], found["attempts"], found["lastStatus"]) == ("failed", 1, None)
        assert "address" in found["lastError"] and "127" not in found["lastError"]
    assert not hook.calls
    key = host.data / "callback.key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_text().strip()) >= 32


def test_without_a_secret_callbacks_are_refused(make_host, server):
    host = make_host(config={"redis": {"url": server.url}}, args=("--only", "initiate"))
    answer = host.client.post(
        "/v1/download/initiate", {"file_ids": [61_105], "callback_url": "https://receiver.example/"})
    assert answer.status == 400 and "callbacks.secret" in answer.json()["details"][0]["problem"]
    # A host that has no embedded Redis makes no key: others of the installation would not have it.
    assert not (host.data / "callback.key").exists()
    host.stop()
    (host.data / "callback.key").touch(0o600)
    (host.data / "callback.key").write_text("k" * 40)
    other = make_host(config={"redis": {"url": server.url}}, args=("--only", "initiate"))
    initiate(other, "https://receiver.example/")


def settings(server, ministack, tmp_path):
    return {
        "redis": {"url": server.url, "commandTimeout": "2s"}, "queue": QUEUE, "downloads": QUICK,
        "history": {"path": str(tmp_path / "history.sqlite")}, "callbacks": FAST, **ministack.config(),
    }


def test_what_redis_loses_is_told_all_the_same(server, make_host, ministack, receiver, tmp_path):
    put_sources(ministack.s3(), ministack.bucket, {61_106: b"f"})
    host = make_host(config=settings(server, ministack, tmp_path))
    hook = receiver(503, 200, headers={"retry-after": "3"})
    job_id = initiate(host, hook.url(), [61_106])
    wait_until(lambda: callback(host, job_id)["lastStatus"] == 503, 30)
    server.client.flushall()
    found = settled(host, job_id)
    assert (found["status"], found["attempts"], found["lastStatus"]) == ("delivered", 2, 200)
    assert host.client.job(job_id)["status"] == "ready" and set(hook.ids()) == {f"{job_id}-1-ready"}
    with sqlite3.connect(f"file:{tmp_path}/history.sqlite?mode=ro", uri=True) as db:
        assert db.execute("SELECT callback_state, callback_attempts, raises FROM download_jobs").fetchall() == [
            ("delivered", 2, 0)]


def test_a_host_that_is_killed_at_the_delivery_delivers_again(server, make_host, ministack, receiver, tmp_path):
    put_sources(ministack.s3(), ministack.bucket, {61_107: b"k"})
    config = settings(server, ministack, tmp_path)
    hook = receiver(200)
    hook.hold.clear()
    host = make_host(folder=tmp_path / "host", config=config)
    ids = [initiate(host, hook.url(), [61_107]) for _ in range(3)]
    wait_until(lambda: len(hook.calls) == 3, 60, host.text)
    host.kill()
    hook.hold.set()
    host = make_host(folder=tmp_path / "host", config=config)
    began = time.monotonic()
    for job_id in ids:
        found = settled(host, job_id)
        assert (found["status"], found["attempts"]) == ("delivered", 2)
        assert hook.ids().count(f"{job_id}-1-ready") == 2
    assert time.monotonic() - began < 60 and not hook.problems and len(hook.calls) == 6
