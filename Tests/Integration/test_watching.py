"""Jobs as those see them who watch, by WebSocket, event stream and polling, with clients of another make."""

import concurrent.futures
import contextlib
import json
import random
import signal
import socket
import threading
import time
import uuid

import pytest
import websockets.exceptions
from conftest import SOAK, Host, stop_private_redis
from queues import RedisServer
from support import resident_kib, wait_until
from test_main_job import put_sources
from websockets.sync.client import connect
from watching import (
    WAYS, Worker, by_polling, by_socket, by_stream, check, check_promise, is_end, names, open_socket, socket_url,
)

NO_WORKER = ("--only", "initiate,status,stream,subscribe,cancel,retry")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory, server):
    """A host without workers: its jobs do what a test has them do."""
    folder = tmp_path_factory.mktemp("quiet")
    host = Host(folder, args=NO_WORKER, config={"redis": {"url": server.url}})
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    stop_private_redis(folder)


def in_background(function, *arguments, **options):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(function, *arguments, **options)
    pool.shutdown(wait=False)
    return future


def begun(host, server, **options):
    job_id = host.client.initiate([20_001, 20_002], **options)
    return job_id, Worker(server.client, job_id)


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_completes(host, way):
    put_sources(host.s3(), host.bucket, {32_001: b"x" * 300_000, 32_002: b"y"})
    job_id = host.client.initiate([32_001, 32_002])
    messages = check(WAYS[way](host, job_id))
    job = host.client.job(job_id)
    assert messages[0]["type"] == "status" and messages[-1]["data"] == job
    assert job["status"] == "ready" and messages[-1]["seq"] == job["seq"]
    if way != "polling":
        assert names(messages)[-2:] == ["status:ready", "complete:ready"]
        assert set(names(messages[:-2], progress=True)) <= {"status:queued", "status:processing", "progress"}
    percentages = [message["data"].get("progress", {}).get("percentage", 0) for message in messages]
    assert percentages == sorted(percentages)


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_fails_for_good(host, way):
    job_id = host.client.initiate([32_099])
    messages = check(WAYS[way](host, job_id))
    job = host.client.job(job_id)
    assert (job["status"], messages[-1]["seq"]) == ("failed", job["seq"])
    if way != "polling":
        assert names(messages)[-2:] == ["status:failed", "error:final"]
        assert messages[-1]["data"]["message"] == job["error"] and messages[-1]["data"]["code"] == job["errorCode"]


@pytest.mark.parametrize("way", WAYS)
def test_a_job_with_a_further_attempt(make_host, ministack, fault_proxy, way):
    config = ministack.config(fault_proxy.endpoint)
    config["downloads"] = {"retryDelay": "500ms"}
    config["storage"].update({"retryDelay": "20ms", "retryMaxDelay": "40ms"})
    host = make_host(config=config)
    put_sources(ministack.s3(), ministack.bucket, {32_003: b"x"})
    rule = fault_proxy.add("PUT", r"archives/", status=503)
    job_id = host.client.initiate([32_003])
    watched = in_background(WAYS[way], host, job_id)
    # The first attempt has failed; the store is well again before the second.
    wait_until(lambda: host.client.job(job_id)["error"], 60)
    fault_proxy.rules.remove(rule)
    messages = check(watched.result(60))
    assert host.client.job(job_id)["attempt"] > 1
    if way == "polling":
        assert {"queued", "ready"} <= {message["data"]["status"] for message in messages}
    else:
        attempt = ["status:processing", "error", "status:queued"]
        told = "".join(names(messages))
        assert "".join(attempt[1:] + ["status:processing"]) in told
        assert names(messages)[-2:] == ["status:ready", "complete:ready"]


@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_is_cancelled(quiet, server, way):
    job_id, worker = begun(quiet, server)
    # A poll that gives no tag waits for news of what is there.
    watched = in_background(WAYS[way], quiet, job_id)
    wait_until(lambda: worker.listeners() == 1)
    assert quiet.client.request("DELETE", f"/v1/download/job/{job_id}").status == 202
    expected = ["status:cancelled"] if way == "polling" else ["status:queued", "status:cancelled"]
    assert names(check(watched.result(20))) == expected
    wait_until(lambda: worker.listeners() == 0)


@pytest.mark.parametrize("status, expected", [
    ("ready", ["status:ready", "complete:ready"]), ("failed", ["status:failed", "error:final"]),
    ("cancelled", ["status:cancelled"]), ("expired", ["status:expired"]),
])
@pytest.mark.parametrize("way", WAYS)
def test_a_job_that_is_over(quiet, server, way, status, expected):
    job_id, worker = begun(quiet, server)
    worker.advance("processing", "status")
    worker.end(status)
    end = quiet.client.job(job_id)["seq"]
    expected = expected[:1] if way == "polling" else expected
    assert names(check(WAYS[way](quiet, job_id))) == expected
    assert WAYS[way](quiet, job_id, since=end) == []
    if way != "polling":
        assert names(WAYS[way](quiet, job_id, since=end - 1)) == expected[-1:]


@pytest.mark.parametrize("way", WAYS)
def test_a_new_round_is_told_to_one_who_saw_the_last(quiet, server, way):
    job_id, worker = begun(quiet, server)
    assert quiet.client.request("DELETE", f"/v1/download/job/{job_id}").status == 202
    end = quiet.client.job(job_id)["seq"]
    assert quiet.client.post(f"/v1/download/job/{job_id}/retry").status == 202
    watched = in_background(WAYS[way], quiet, job_id, since=end)
    # A poll is answered at once, and asks again.
    wait_until(lambda: worker.listeners() == 1)
    assert quiet.client.request("DELETE", f"/v1/download/job/{job_id}").status == 202
    messages = check(watched.result(30))
    assert names(messages) == ["status:queued", "status:cancelled"] and messages[0]["seq"] >> 32 == 2


def test_what_cannot_be_watched_is_refused_before_the_upgrade(quiet, server):
    job_id, worker = begun(quiet, server)
    cases = [(uuid.uuid4(), "", 404), ("nonsense", "", 400), (job_id, "?since=x", 400), (job_id, "?since=-1", 400)]
    for id, query, status in cases:
        answer = quiet.client.get(f"/v1/download/stream/{id}{query}")
        assert answer.status == status and answer.json()["code"] in ("not_found", "validation_failed")
        with pytest.raises(websockets.exceptions.InvalidStatus) as refusal:
            with connect(socket_url(quiet, id) + query):
                pass
        assert refusal.value.response.status_code == status
        assert json.loads(refusal.value.response.body)["requestId"]
    for wait in ("0", "31", "x", ""):
        answer = quiet.client.get(f"/v1/download/job/{job_id}?wait={wait}")
        assert answer.status == 400 and answer.json()["details"][0]["field"] == "wait"
    # An id of another stream is no reason to refuse.
    worker.end("cancelled")
    answer = quiet.client.get(f"/v1/download/stream/{job_id}", headers={"last-event-id": "of-another"})
    assert answer.status == 200 and b"event: status\n" in answer.body
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache" and answer.headers["x-accel-buffering"] == "no"
    assert quiet.client.get(f"/v1/download/subscribe/{job_id}").status in (400, 426)


def test_a_socket_answers_pings_and_closes_on_chatter(quiet, server):
    job_id, worker = begun(quiet, server)
    with open_socket(quiet, job_id) as connection:
        assert json.loads(connection.recv(20))["type"] == "status"
        connection.send('{"type":"ping"}')
        assert connection.recv(20) == '{"type":"pong"}'
        for _ in range(16):
            connection.send("hello")
        connection.send('{"type":"ping"}')
        assert connection.recv(20) == '{"type":"pong"}'
        connection.send("once more")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            connection.recv(20)
        assert closed.value.rcvd.code == 1008
    wait_until(lambda: worker.listeners() == 0)


def test_polls_wait_and_end_in_time(quiet, server):
    job_id, worker = begun(quiet, server)
    tag = quiet.client.get(f"/v1/download/job/{job_id}").headers["etag"]
    began = time.monotonic()
    assert quiet.client.get(f"/v1/download/job/{job_id}?wait=1", headers={"if-none-match": tag}).status == 304
    assert quiet.client.get(f"/v1/download/job/{job_id}?wait=1").status == 200
    assert 1.9 < time.monotonic() - began < 15
    # Far more than a function has places by default, and others are served meanwhile.
    count = 400
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        path = f"/v1/download/job/{job_id}?wait=30"
        polls = [pool.submit(quiet.client.get, path, headers={"if-none-match": tag}) for _ in range(count)]
        wait_until(lambda: worker.listeners() == 1)
        assert quiet.client.get(f"/v1/download/job/{job_id}").status == 200
        # Those that are not waiting yet see the change as well, for it is newer than their tag.
        worker.advance("processing", "status")
        for poll in polls:
            assert poll.result(60).json()["status"] == "processing"
    wait_until(lambda: worker.listeners() == 0)


def test_watchers_of_a_job_share_one_subscription(quiet, server):
    job_id, worker = begun(quiet, server)
    watchers = [in_background(way, quiet, job_id) for way in (by_socket, by_stream) for _ in range(5)]
    for watcher in watchers[:9]:
        wait_until(lambda: worker.listeners() == 1)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(open_socket(quiet, job_id)) for _ in range(5)]
        for connection in sockets:
            connection.recv(20)
        # PUBLISH counts receivers: the process is one.
        assert server.client.publish(worker.channel, "noise") == 1
        for connection in sockets:
            connection.socket.shutdown(2)
    assert worker.listeners() == 1
    worker.end("ready")
    for watcher in watchers:
        assert names(watcher.result(20))[-1] == "complete:ready"
    wait_until(lambda: worker.listeners() == 0)


@pytest.mark.parametrize("way", [by_socket, by_stream])
def test_nothing_is_lost_through_disconnects(quiet, server, way):
    rounds = 200 if SOAK else 30
    job_id, worker = begun(quiet, server)
    stop, chance = threading.Event(), random.Random(7)

    def work():
        while not stop.is_set():
            kind = chance.randrange(8)
            if kind == 0:
                worker.advance("queued", "error", "status")
            elif kind == 1:
                worker.advance("processing", "status")
            else:
                file = {"file_id": 20_001 + kind % 2, "status": "completed", "size": kind}
                worker.advance("processing", "progress", files=[file])
            time.sleep(chance.random() * 0.004)
        worker.end("failed")

    worker.advance("processing", "status")
    working = in_background(work)
    seen, connections = [], 0
    try:
        while connections < rounds:
            last = seen[-1]["seq"] if seen else None
            seen += way(quiet, job_id, since=last, limit=chance.randrange(1, 6))
            connections += 1
    finally:
        stop.set()
    working.result(20)
    while not is_end(seen[-1]):
        seen += way(quiet, job_id, since=seen[-1]["seq"])
    check_promise(worker.published, seen)
    assert len(seen) > rounds and way(quiet, job_id, since=seen[-1]["seq"]) == []
    wait_until(lambda: worker.listeners() == 0)


def stuck(host, path, headers=""):
    """A client that asks and does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", host.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode())
    return connection


UPGRADE = (
    "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def flood(worker, count, start=0):
    for number in range(start, start + count):
        # Results of a thousand files, again and again, each a kilobyte.
        file = {"file_id": 20_000 + number % 1_000, "status": "failed", "error": f"{number} " + "x" * 1_000}
        worker.advance("processing", "progress", files=[file])


def test_a_slow_reader_gets_the_newest_and_costs_little(quiet, server):
    job_id, worker = begun(quiet, server)
    quick = in_background(by_socket, quiet, job_id)
    wait_until(lambda: worker.listeners() == 1)
    with stuck(quiet, f"/v1/download/stream/{job_id}") as slow:
        head = slow.recv(65536)
        before = resident_kib(quiet.process.pid)
        count = 20_000 if SOAK else 5_000
        flood(worker, count)
        assert resident_kib(quiet.process.pid) - before < 16_384
        worker.end("ready")
        data = head
        while not data.endswith(b"0\r\n\r\n"):
            chunk = slow.recv(1 << 20)
            assert chunk
            data += chunk
    numbers = [int(line[4:]) for line in data.split(b"\n") if line.startswith(b"id: ")]
    assert numbers == sorted(set(numbers)) and numbers[-1] == worker.published[-1]["seq"]
    assert b"event: complete" in data
    # What it got is what fits between the two, and the last few.
    assert len(numbers) < count / 4 and len(data) < count * 1_000, (len(numbers), len(data))
    # The one beside it was not slowed.
    messages = check(quick.result(60))
    assert names(messages)[-2:] == ["status:ready", "complete:ready"] and len(messages) > 2 * len(numbers)


def test_one_that_stops_reading_is_dropped(make_host, server):
    host = make_host(args=NO_WORKER, config={"redis": {"url": server.url}, "http": {"writePauseTimeout": "1s"}})
    for path, headers in (("stream", ""), ("subscribe", UPGRADE)):
        job_id, worker = begun(host, server)
        with stuck(host, f"/v1/download/{path}/{job_id}", headers):
            wait_until(lambda: worker.listeners() == 1)
            deadline = time.monotonic() + 60
            while worker.listeners() == 1:
                assert time.monotonic() < deadline
                flood(worker, 100)


def test_sigterm_sends_watchers_elsewhere(make_host, server):
    config = {"redis": {"url": server.url}}
    old = make_host(args=NO_WORKER, config=config)
    job_id, worker = begun(old, server)
    told = [[] for _ in range(20)]
    watchers = [in_background(by_socket, old, job_id, codes=(1012,), messages=list) for list in told[:10]]
    watchers += [in_background(by_stream, old, job_id, messages=list) for list in told[10:]]
    wait_until(lambda: all(told))
    with stuck(old, f"/v1/download/stream/{job_id}") as raw:
        data = raw.recv(65536)
        worker.advance("processing", "status")
        began = time.monotonic()
        old.process.send_signal(signal.SIGTERM)
        while chunk := raw.recv(65536):
            data += chunk
    assert b"\nretry: " in data.rsplit(b"event: status", 1)[1] and data.endswith(b"0\r\n\r\n")
    for watcher in watchers:
        watcher.result(20)
    assert time.monotonic() - began < 10
    assert old.process.wait(20) == 0
    new = make_host(args=NO_WORKER, config=config)
    worker.end("ready")
    for number, messages in enumerate(told):
        way = by_socket if number < 10 else by_stream
        messages += way(new, job_id, since=messages[-1]["seq"])
        check_promise(worker.published, messages)


@pytest.mark.parametrize("is_kept", [True, False])
def test_redis_dies_while_they_watch(make_host, tmp_path, is_kept):
    server = RedisServer(tmp_path / "redis")
    try:
        host = make_host(args=NO_WORKER, config={"redis": {"url": server.url}})
        job_id, worker = begun(host, server)
        told = [[] for _ in range(10)]
        watchers = [in_background(by_socket, host, job_id, messages=list) for list in told[:5]]
        watchers += [in_background(by_stream, host, job_id, messages=list) for list in told[5:]]
        worker.advance("processing", "status")
        wait_until(lambda: all(told))
        poll = in_background(by_polling, host, job_id)
        server.stop(signal.SIGKILL)
        # The history answers, as far as it knows; who begins to watch now goes on when Redis is back.
        assert host.client.job(job_id)["status"] == "queued"
        assert names(by_stream(host, job_id, limit=1)) == ["status:queued"]
        assert names(by_socket(host, job_id, limit=1)) == ["status:queued"]
        if not is_kept:
            for file in (tmp_path / "redis").rglob("*.aof"):
                file.unlink()
            for file in (tmp_path / "redis").rglob("*.manifest"):
                file.unlink()
        server.start()
        if is_kept:
            # Told while the watchers' connection may not be back yet.
            worker.end("ready")
        else:
            # The record is gone for good; the history ends the job.
            wait_until(lambda: host.client.request("DELETE", f"/v1/download/job/{job_id}").status == 202)
            for way in (by_socket, by_stream):
                assert names(way(host, job_id)) == ["status:cancelled"]
        expected = ["status:ready", "complete:ready"] if is_kept else ["status:cancelled"]
        if is_kept or SOAK:
            # Without a record nothing was published: then it is the look after a minute's silence that ends a watch.
            for watcher in watchers:
                assert names(check(watcher.result(60 if is_kept else 200)))[-len(expected):] == expected
        # Whoever waited for an answer may have had none.
        error = poll.exception(60)
        assert error is None or "503" in str(error) or "Service Unavailable" in str(error), error
        assert names(by_polling(host, job_id)) == expected[:1]
    finally:
        server.stop(signal.SIGKILL)
