"""Event streams as independent clients see them: curl, httpx with a parser of its own, and plain sockets."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import httpx
import httpx_sse
import pytest
from conftest import ROOT, SOAK, Host, stop_private_redis
from support import resident_kib, wait_until

FIXTURES = ROOT / "Tests" / "Fixtures" / "functions"
ONLY = ("--only", "ticker")


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    host = Host(folder, functions=FIXTURES, args=ONLY, config={"http": {"heartbeat": "500ms"}})
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    stop_private_redis(folder)


def lines(host, message="request"):
    """The log's lines with this message, each as its text."""
    return [line for line in host.text().splitlines() if re.search(rf"\b{message}\b", line)]


def open_stream(host, path, headers="", version="1.1", timeout=20, receive_buffer=None):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(timeout)
    connection.connect(("127.0.0.1", host.port))
    connection.sendall(f"GET {path} HTTP/{version}\r\nhost: x\r\n{headers}\r\n".encode())
    return connection


def read_until(connection, end, data=b""):
    while end not in data:
        chunk = connection.recv(65536)
        assert chunk, data[-500:]
        data += chunk
    return data


def test_curl_shows_events_as_they_come(streams):
    command = ["curl", "-sSN", "-m", "60", "-D", "-", f"{streams.url}/ticks/3?every=400"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    times, text = [], b""
    for line in process.stdout:
        text += line
        if line.startswith(b"id: "):
            times.append(time.monotonic())
    assert process.wait(20) == 0
    head, body = text.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 ")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert fields[b"content-type"] == b"text/event-stream" and fields[b"cache-control"] == b"no-cache"
    assert fields[b"x-accel-buffering"] == b"no" and fields[b"transfer-encoding"] == b"chunked"
    expected = b"".join(b"id: %d\nevent: tick\ndata: %d\ndata: \n\n" % (n, n) for n in (1, 2, 3))
    assert body.replace(b":\n\n", b"") == b"retry: 2000\n\n" + expected
    assert all(later - earlier > 0.2 for earlier, later in zip(times, times[1:])), times


def test_a_parser_of_another_make_reads_them_over_reconnects(streams):
    seen, last = [], None
    with httpx.Client(timeout=20) as client:
        while True:
            headers = {"last-event-id": last} if last else {}
            with httpx_sse.connect_sse(client, "GET", f"{streams.url}/ticks/7", headers=headers) as source:
                if source.response.status_code == 204:
                    break
                for event in source.iter_sse():
                    if event.event != "tick":
                        assert event.retry == 2000
                        continue
                    assert event.data == f"{event.id}\n"
                    seen.append(int(event.id))
                    last = event.id
                    if len(seen) % 2 == 0:
                        break
    assert seen == list(range(1, 8))


def test_an_error_before_the_first_event_is_an_ordinary_answer(streams):
    answer = streams.client.get("/ticks/many")
    assert answer.status == 400 and answer.json()["message"] == "The count is no number."
    assert streams.client.request("POST", "/ticks/1").status == 405
    assert streams.client.request("GET", "/ticks/1", body=b"x").status == 413


def test_the_connection_goes_on_after_a_stream(streams):
    with open_stream(streams, "/ticks/2") as connection:
        connection.sendall(b"HEAD /ticks/2 HTTP/1.1\r\nhost: x\r\n\r\nGET /ticks/0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    first, rest = data.split(b"\r\n0\r\n\r\n", 1)
    assert first.endswith(b"data: 2\ndata: \n\n")
    head, last, nothing = rest.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"text/event-stream" in head
    assert last.startswith(b"HTTP/1.1 204 ") and nothing == b""


def test_http_10_reads_to_the_end(streams):
    with open_stream(streams, "/ticks/2", version="1.0") as connection:
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, body = data.split(b"\r\n\r\n", 1)
    assert b"transfer-encoding" not in head and b"connection: close" in head
    assert body == b"retry: 2000\n\nid: 1\nevent: tick\ndata: 1\ndata: \n\nid: 2\nevent: tick\ndata: 2\ndata: \n\n"


def test_silence_is_broken(streams):
    with open_stream(streams, "/ticks/2?every=1800") as connection:
        data = read_until(connection, b"0\r\n\r\n")
    assert data.count(b"3\r\n:\n\n\r\n") in (2, 3, 4), data


def test_a_slow_reader_gets_everything_and_costs_little(streams):
    count, size = (20_000, 20_000) if SOAK else (3_000, 20_000)
    before = resident_kib(streams.process.pid)
    with open_stream(streams, f"/ticks/{count}?size={size}", receive_buffer=65_536) as connection:
        data = read_until(connection, b"id: 1\n")
        time.sleep(1)  # the stream must be stuck: there is nothing to wait for
        grown = resident_kib(streams.process.pid) - before
        assert grown < 4096, f"{grown} KiB more while a reader stood still"
        total, tail, position = len(data), data, 0
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            chunk = connection.recv(1 << 20)
            assert chunk
            total, tail = total + len(chunk), (tail + chunk)[-200_000:]
    assert total > count * size and b"id: %d\n" % count in tail
    assert resident_kib(streams.process.pid) - before < 8192


def test_floods_leave_room_for_others(streams):
    command = ["curl", "-sSN", "-m", "60", "-o", "/dev/null", f"{streams.url}/ticks/1000000000?size=16000"]
    floods = [subprocess.Popen(command) for _ in range(4)]
    try:
        worst = 0
        for _ in range(50):
            start = time.monotonic()
            assert streams.client.get("/health/liveness").status == 200
            worst = max(worst, time.monotonic() - start)
        print(f"{worst * 1000:.0f} ms at worst beside four floods")
        assert worst < 2
    finally:
        for flood in floods:
            flood.kill()
            flood.wait(10)


def test_one_that_stops_reading_is_dropped_and_one_that_vanishes_is_noticed(make_host):
    host = make_host(functions=FIXTURES, args=ONLY, config={"http": {"writePauseTimeout": "1s"}})
    with open_stream(host, "/ticks/1000000?size=20000", receive_buffer=65_536) as connection:
        read_until(connection, b"id: 1\n")
        wait_until(lambda: any("/ticks/1000000" in line for line in lines(host)), 20, host.text)
    with open_stream(host, "/ticks/1000001?every=50") as connection:
        read_until(connection, b"id: 3\n")
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: any("/ticks/1000001" in line for line in lines(host)), 20, host.text)


def test_sigterm_sends_clients_away_at_once(make_host):
    host = make_host(functions=FIXTURES, args=ONLY, config={"http": {"reconnectDelay": "500ms"}})
    connections = [open_stream(host, "/ticks/100000?every=20") for _ in range(20)]
    for connection in connections:
        read_until(connection, b"id: 2\n")
    start = time.monotonic()
    host.process.send_signal(signal.SIGTERM)
    delays = set()
    for connection in connections:
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
        connection.close()
        end = re.search(rb"\r\nretry: (\d+)\n\n\r\n0\r\n\r\n$", data)
        assert end, data[-300:]
        delays.add(int(end.group(1)))
    assert host.process.wait(20) == 0
    assert time.monotonic() - start < 5
    assert len(delays) > 5 and min(delays) >= 250 and max(delays) <= 750, delays


def test_the_list_names_the_trigger(streams):
    command = [streams.command[0], "list", "--json", "--functions", str(FIXTURES), "--data", str(streams.data)]
    listed = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    ticker = next(row for row in listed if row["name"] == "ticker")
    assert (ticker["trigger"], ticker["route"], ticker["timeout"]) == ("sse", "GET /ticks/:count", "3600s")
    assert ticker["concurrency"] == 10_000 and ticker["state"] == "built"


def test_idle_streams_are_cheap_and_given_back(make_host):
    count = 5_000 if SOAK else 1_000
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count * 2 + 2000), hard))
    host = make_host(functions=FIXTURES, args=ONLY, config={"http": {"maxConnections": count * 2 + 10}})
    pid = host.process.pid

    def opened(path, end):
        connections = []
        for _ in range(count):
            connections.append(open_stream(host, path))
            if len(connections) % 100 == 0:
                for connection in connections[-100:]:
                    read_until(connection, end)
        return connections

    warm = [open_stream(host, "/ticks/2?every=1") for _ in range(50)]
    for connection in warm:
        read_until(connection, b"0\r\n\r\n")
        connection.close()
    before = resident_kib(pid)
    plain = opened("/health/liveness", b"alive")
    connected = resident_kib(pid)
    # Each has had an event, and waits for the next.
    streams = opened("/ticks/2?every=100000000", b"data: 1\n")
    each, plain_each = (resident_kib(pid) - connected) / count, (connected - before) / count
    print(f"{plain_each:.2f} KiB for a plain connection, {each:.2f} KiB for an idle stream")
    try:
        assert each - plain_each <= 8
    finally:
        for connection in plain + streams:
            connection.close()
    wait_until(lambda: host.client.get("/health/liveness").status == 200, 20)
