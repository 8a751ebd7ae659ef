"""Ferry behind the real nginx, with the configuration that is shipped: three hosts, all transports, hosts that go."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import time

import pytest
from conftest import FERRY, SOAK, Host, stop_private_redis
from nginx import Nginx
from support import wait_until
from test_main_job import put_sources
from watchers import watch_all, until

WATCHERS, JOBS = (300, 30) if SOAK else (60, 6)


def make_hosts(folder, count=3):
    """Hosts on one data folder; a worker that is gone is noticed within seconds."""
    config = {
        "http": {"trustedProxies": ["127.0.0.1"]},
        "queue": {"lockDuration": "1500ms", "stalledCheck": "500ms", "stalledGate": "400ms", "maxStalledCount": 5},
    }
    hosts = []
    for _ in range(count):
        hosts.append(Host(folder, config=config))
    return hosts


def stop(hosts, folder):
    for host in hosts:
        if host.process.poll() is None:
            host.stop()
    stop_private_redis(folder)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Three hosts behind nginx that many tests share."""
    folder = tmp_path_factory.mktemp("fleet")
    hosts = make_hosts(folder)
    put_sources(hosts[0].s3(), hosts[0].bucket, {n: os.urandom(200_000) for n in range(20_001, 20_006)})
    with Nginx(folder, [host.port for host in hosts]) as nginx:
        nginx.hosts = hosts
        yield nginx
    stop(hosts, folder)


class Queue:
    """The jobs' queue, held back while watchers gather."""

    def __init__(self, host):
        self.host = host

    def call(self, verb):
        command = [FERRY, "queue", verb, "file-downloads", "--data", str(self.host.data)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr

    def pause(self):
        self.call("pause")

    def resume(self):
        self.call("resume")


def test_the_shipped_file_is_valid(fleet):
    result = fleet.check()
    assert result.returncode == 0 and "warn" not in result.stderr, result.stderr


def test_connections_are_kept_on_both_sides(fleet):
    """Forty requests of one client's connection take few connections to the hosts."""
    def opened():
        """The connections to the hosts that nginx holds now."""
        ports = {host.port for host in fleet.hosts}
        found = set()
        with open("/proc/net/tcp") as table:
            for line in table.readlines()[1:]:
                fields = line.split()
                if int(fields[2].split(":")[1], 16) in ports and fields[3] == "01":
                    found.add(fields[1])
        return found

    connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=20)
    ours, seen = None, set()
    for _ in range(40):
        connection.request("GET", "/health/liveness")
        response = connection.getresponse()
        assert response.status == 200 and response.read()
        seen |= opened()
        ours = ours or connection.sock.getsockname()
        assert connection.sock.getsockname() == ours
    connection.close()
    assert 0 < len(seen) <= 12, seen


def test_request_ids_and_addresses_are_passed_on_and_no_secret_is_logged(fleet):
    answer = fleet.client.get("/v1/download/check?ticket=SECRET", headers={"x-request-id": "mine-1", "referer": "http://x/?SECRET"})
    assert answer.headers["x-request-id"] == "mine-1"
    made = fleet.client.get("/health/liveness", headers={"x-request-id": "x" * 129}).headers["x-request-id"]
    assert len(made) == 32
    fleet.client.get("/health/liveness", headers={"x-forwarded-for": "203.0.113.9"})

    def logged():
        lines = [json.loads(line) for line in fleet.access().splitlines()]
        return lines if {"mine-1", made} <= {line["request_id"] for line in lines} else None

    lines = wait_until(logged, 10)
    assert "SECRET" not in fleet.access()
    line = next(line for line in lines if line["request_id"] == "mine-1")
    assert line["path"] == "/v1/download/check" and line["host_status"] == "405"


def test_errors_of_nginx_have_the_form_of_all_errors(fleet, tmp_path):
    body = b"[" + b" " * (1 << 20) + b"]"
    answer = fleet.client.post("/v1/download/check", body, headers={"content-type": "application/json", "x-request-id": 'a"b'})
    assert answer.status == 413
    assert answer.json()["code"] == "content_too_large" and answer.headers["x-request-id"] == 'a"b'
    assert len(answer.json()["requestId"]) == 32
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with Nginx(tmp_path, [port] * 3) as nginx:
            answer = nginx.client.get("/health")
    assert answer.status == 503 and answer.json()["code"] == "service_unavailable" and answer.headers["retry-after"] == "1"


def test_a_plain_route_after_one_that_asked_for_an_upgrade(fleet):
    """One connection: a refused upgrade, then a plain request, then another."""
    connection = http.client.HTTPConnection("127.0.0.1", fleet.port, timeout=20)
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
               "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection.request("GET", "/v1/download/subscribe/0b5ad29e-5a0c-4c1e-9c9b-1c1f9a1f2f10", headers=upgrade)
    response = connection.getresponse()
    assert response.status == 404 and json.loads(response.read())["requestId"]
    for _ in range(2):
        connection.request("GET", "/health/liveness")
        response = connection.getresponse()
        assert response.status == 200 and response.read()


def test_events_come_one_by_one_in_time(fleet):
    """A publish on the job's channel is with the client at once, unbuffered, for a socket and a stream alike."""
    queue = Queue(fleet.hosts[0])
    queue.pause()
    try:
        job_id = fleet.client.initiate([20_001])

        async def main():
            times = {}

            async def during(watchers):
                await until(lambda: all(watcher.messages for watcher in watchers))
                for number in range(5):
                    start = time.monotonic()
                    seq = await asyncio.to_thread(publish, fleet.hosts[0], job_id)
                    await until(lambda: all(w.seq >= seq for w in watchers if w.transport != "polling"), 5)
                    times[number] = time.monotonic() - start
                await asyncio.to_thread(queue.resume)

            watchers = await watch_all(fleet.url, [job_id], 6, during)
            assert all(watcher.types.count("progress") >= 5 for watcher in watchers if watcher.transport != "polling")
            assert max(times.values()) < 2, times

        asyncio.run(main())
    finally:
        queue.resume()


def publish(host, job_id):
    """Publishes a progress message as a worker does; gives its seq."""
    import redis

    client = redis.Redis(unix_socket_path=redis_socket(host), socket_timeout=10)
    try:
        key = f"ferry:job:{job_id}"
        seq = client.hincrby(key, "seq", 1)
        progress = {"current": 0, "total": 1, "percentage": 0, "bytes": 0, "totalBytes": None, "estimatedTimeRemaining": None}
        message = {"type": "progress", "data": {"progress": progress, "files": []}, "seq": seq, "timestamp": "2026-01-01T00:00:00.000Z"}
        client.publish(f"job:{job_id}", json.dumps(message, separators=(",", ":")))
        return seq
    finally:
        client.close()


def redis_socket(host):
    """Beside the data, or where the file says when that path would be too long for a socket's address."""
    named = host.data / "redis" / "socket"
    return named.read_text().strip() if named.exists() else str(host.data / "redis" / "redis.sock")


def test_a_long_poll_waits_for_the_change(fleet):
    queue = Queue(fleet.hosts[0])
    queue.pause()
    try:
        job_id = fleet.client.initiate([20_002])
        path = f"/v1/download/job/{job_id}"
        tag = fleet.client.get(path).headers["etag"]
        start = time.monotonic()
        assert fleet.client.get(path + "?wait=1", headers={"if-none-match": tag}).status == 304
        assert time.monotonic() - start > 0.8
        queue.resume()
        while fleet.client.get(path + "?wait=20").json()["status"] != "ready":
            pass
        assert time.monotonic() - start < 19
    finally:
        queue.resume()


def run_through_a_loss(fleet_hosts, nginx, lose):
    """Watchers gather while the queue is held; `lose(host)` takes a host from them in mid-run; all see `complete`."""
    first = fleet_hosts[0]
    # Large enough that jobs are under way when the host goes.
    size = 4_000_000 if SOAK else 8_000_000
    put_sources(first.s3(), first.bucket, {n: os.urandom(size) for n in range(20_001, 20_004)})
    queue = Queue(first)
    queue.pause()
    jobs = [nginx.client.initiate([20_001, 20_002, 20_003]) for _ in range(JOBS)]

    async def main():
        left = {}

        async def during(watchers):
            await until(lambda: all(watcher.messages for watcher in watchers))
            await asyncio.to_thread(queue.resume)
            await until(lambda: any(len(watcher.messages) > 1 for watcher in watchers))
            left["running"] = sum(not watcher.is_over for watcher in watchers)
            lose(fleet_hosts[1])

        watchers = await watch_all(nginx.url, jobs, WATCHERS, during, timeout=180)
        assert left["running"] > WATCHERS / 2, left
        assert all(watcher.types[-1] == "complete" for watcher in watchers), [w.messages for w in watchers][:5]
        return watchers

    return asyncio.run(main())


def test_a_host_that_is_killed_costs_no_watcher_its_end(tmp_path):
    hosts = make_hosts(tmp_path)
    try:
        with Nginx(tmp_path, [host.port for host in hosts]) as nginx:
            watchers = run_through_a_loss(hosts, nginx, Host.kill)
            for transport in ("websocket", "sse"):
                came_back = [w for w in watchers if w.transport == transport and len(w.ends) > 1]
                assert came_back, f"no {transport} was on the host that was killed"
            job_id = nginx.client.initiate([20_001])
            assert nginx.client.finished(job_id)["status"] == "ready"
    finally:
        stop(hosts, tmp_path)


def test_a_host_that_drains_sends_its_watchers_elsewhere(tmp_path):
    hosts = make_hosts(tmp_path)
    try:
        with Nginx(tmp_path, [host.port for host in hosts]) as nginx:
            watchers = run_through_a_loss(hosts, nginx, lambda host: host.process.send_signal(signal.SIGTERM))
            sockets = [w for w in watchers if w.transport == "websocket" and len(w.ends) > 1]
            assert sockets and all(1012 in w.ends for w in sockets), [w.ends for w in sockets]
            streams = [w for w in watchers if w.transport == "sse" and w.ends.count(200) > 1]
            # One `retry` begins each stream; one more announces the end of those that the host ended.
            assert streams and all(w.ends.count("retry") > w.ends.count(200) for w in streams), [w.ends for w in streams]
            assert not [w.ends for w in streams if any(isinstance(end, str) and end != "retry" for end in w.ends)]
            assert hosts[1].process.wait(60) == 0
    finally:
        stop(hosts, tmp_path)


@pytest.mark.parametrize("transport", ["auto", "websocket", "sse", "polling"])
def test_ferry_watch_through_nginx(fleet, transport):
    job_id = fleet.client.initiate([20_003, 20_004])
    command = [FERRY, "watch", job_id, "--url", fleet.url, "--transport", transport, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["type"] == "complete"
    again = subprocess.run([*command[:-1]], capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and again.stdout.startswith(f"{job_id}  ready  2 files")


def test_ferry_watch_over_tls(tmp_path):
    """wss and https through nginx with a certificate of our own, which the system does not know."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True)
    hosts = make_hosts(tmp_path, 1)
    try:
        put_sources(hosts[0].s3(), hosts[0].bucket, {20_001: b"x"})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            tls_port = probe.getsockname()[1]
        tls = f"listen 127.0.0.1:{tls_port} ssl;\nssl_certificate {certificate};\nssl_certificate_key {key};\n"
        with Nginx(tmp_path, [hosts[0].port] * 3, server=tls):
            job_id = hosts[0].client.initiate([20_001])
            for name in ("localhost", "127.0.0.1"):
                for transport in ("websocket", "sse", "polling"):
                    command = [FERRY, "watch", job_id, "--url", f"https://{name}:{tls_port}", "--transport", transport]
                    result = subprocess.run([*command, "--ca-file", str(certificate)], capture_output=True, text=True, timeout=60)
                    assert result.returncode == 0, result.stderr
                    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
                    assert refused.returncode == 1 and "Is the host running?" in refused.stderr, refused.stderr
    finally:
        stop(hosts, tmp_path)
