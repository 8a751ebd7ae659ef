"""What careless hands and impatient clients do to a host: it says what is wrong, and goes on."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from support import resident_kib, wait_until
from test_functions import HELLO, ferry, handler, write_function


def reason(host):
    """How a host ended that could not start."""
    assert host.process.wait(60) == 1, host.text()[-3000:]
    return host.text()


def test_start_that_fails_says_why_and_ends_in_order(make_host, tmp_path):
    text = reason(make_host(functions=tmp_path / "absent", wait=False))
    assert str(tmp_path / "absent") in text and "--functions" in text
    functions = tmp_path / "functions"
    write_function(functions, "good", {"http": "GET /good"}, handler('.text("good")'))
    text = reason(make_host(functions=functions, args=("--only", "goood"), wait=False))
    assert 'there is no function "goood"' in text and '"good"' in text


def test_function_with_a_route_of_the_hosts_is_left_out(make_host, tmp_path):
    functions = tmp_path / "functions"
    write_function(functions, "good", {"http": "GET /good"}, handler('.text("good")'))
    write_function(functions, "health", {"http": "GET /health"}, handler('.text("well")', "Health"))
    host = make_host(functions=functions)
    assert host.client.get("/good").body == b"good" and b"checks" in host.client.get("/health").body
    assert re.search(r"not served: health: .*GET /health.* is already that of the host", host.text()), host.text()


@pytest.mark.parametrize(
    "section, key, value",
    [
        ("history", "path", "/nonexistent/history.sqlite"), ("redis", "url", "redis://"),
        ("storage", "endpoint", "http://a b"), ("storage", "publicEndpoint", "https://"),
    ],
)
def test_setting_that_cannot_be_used_is_named(make_host, section, key, value):
    text = reason(make_host(config={section: {key: value}}, args=("--only", "status"), wait=False))
    assert f"{section}.{key}" in text, text


def test_module_that_was_cut_short_is_refused_and_built_again(make_host, tmp_path):
    functions = tmp_path / "functions"
    write_function(functions, "hello", {"http": "GET /hello"}, HELLO)
    write_function(functions, "good", {"http": "GET /good"}, handler('.text("good")'))
    assert ferry("build", "--functions", functions, "--data", tmp_path / "data").returncode == 0
    (module,) = (tmp_path / "data").rglob("hello-*.so")
    content = module.read_bytes()
    for length in (0, 600, 4096, 8192):
        module.unlink()
        module.write_bytes(content[:length])
        host = make_host(functions=functions)
        assert host.client.get("/hello").status == 404 and host.client.get("/good").body == b"good"
        assert re.search(r"hello: .*\.so: is no module: .*ferry build hello", host.text()), host.text()[-3000:]
        host.stop()
    assert ferry("build", "--functions", functions, "--data", tmp_path / "data").returncode == 0
    assert make_host(functions=functions).client.get("/hello").status == 200


def test_redis_without_its_socket_is_replaced_by_one(make_host, tmp_path):
    host = make_host(args=("--only", "initiate,status"))
    client = host.client
    job_id = client.initiate([20_001])

    def servers():
        found = subprocess.run(["pgrep", "-f", f"redis-server.*{tmp_path}"], capture_output=True, text=True).stdout
        return found.split()

    (former,) = servers()
    os.unlink(host.data / "redis" / "redis.sock")
    wait_until(lambda: servers() not in ([former], []), 30)
    wait_until(lambda: client.get(f"/v1/download/job/{job_id}").status == 200, 30)
    assert len(servers()) == 1 and servers() != [former]
    assert host.stop() == 0
    assert servers() == []


def test_redis_that_stops_answering_costs_time_and_nothing_more(make_host):
    host = make_host(args=("--only", "initiate,status,cancel"), config={"redis": {"commandTimeout": "1s"}})
    job_id = host.client.initiate([20_001])
    server = int((host.data / "redis" / "redis.pid").read_text())
    os.kill(server, signal.SIGSTOP)
    try:
        # The history answers.
        assert host.client.job(job_id)["status"] == "queued"
        answer = host.client.request("DELETE", f"/v1/download/job/{job_id}")
        # It is cancelled in the history; the record is told when Redis is back.
        assert answer.status == 202 and json.loads(answer.body)["status"] == "cancelled", answer.body
        assert host.client.get("/health").status == 503
        assert host.client.get("/health/liveness").status == 200
    finally:
        os.kill(server, signal.SIGCONT)
    wait_until(lambda: host.client.job(job_id)["status"] == "cancelled", 20)
    assert int((host.data / "redis" / "redis.pid").read_text()) == server


def test_clients_that_do_not_read_cost_the_endpoint_little(make_host):
    host = make_host(args=("--only", "status"))
    store = host.s3(signature_version="s3v4")
    store.put_object(Bucket=host.bucket, Key="big", Body=b"b" * 50_000_000)
    endpoint = host.credentials()["endpoint"]
    path = store.generate_presigned_url("get_object", Params={"Bucket": host.bucket, "Key": "big"})[len(endpoint):]
    port = int(endpoint.rsplit(":", 1)[1])
    before = resident_kib(host.process.pid)
    clients = []
    try:
        for _ in range(60):
            client = socket.create_connection(("127.0.0.1", port), timeout=20)
            client.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
            clients.append(client)
        for client in clients:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        sizes = [0]

        def settled():
            sizes.append(resident_kib(host.process.pid))
            return len(sizes) > 50 and sizes[-1] == sizes[-40]

        wait_until(settled, 30)
        # A chunk on its way, one in the socket's queue, and what the allocator keeps of both.
        assert (sizes[-1] - before) / len(clients) <= 1500
    finally:
        for client in clients:
            client.close()
