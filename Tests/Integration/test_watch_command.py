"""`ferry watch` against a host that plays every part that proxies and restarts play in life."""

import json
import signal
import socket
import subprocess
import time

import pytest
from conftest import FERRY
from standin import JOB, StandIn, frame, job, message
from support import wait_until


def command(url, *arguments, job_id=JOB):
    return [FERRY, "watch", job_id, "--url", url, *arguments]


def watch(host, *arguments, timeout=60, **options):
    url = host if isinstance(host, str) else host.url
    return subprocess.run(command(url, *arguments, **options), capture_output=True, text=True, timeout=timeout)


def types(result):
    return [(value["type"], value["seq"]) for value in map(json.loads, result.stdout.splitlines())]


def socket_of(*messages, code=1000):
    def act(visit):
        visit.upgrade()
        for value in messages:
            visit.text(value)
        visit.close(code)

    return act


def stream_of(*messages, retry=None):
    def act(visit):
        visit.open_stream(retry)
        for value in messages:
            visit.event(value)

    return act


def refused(status):
    return lambda visit: visit.answer(status, b"<html>a proxy's page</html>", kind="text/html")


def dies(visit):
    visit.upgrade()


def routes(host):
    return [target.split("/")[3] for target in host.targets()]


WHOLE = [message("status", 1), message("progress", 2), message("complete", 4)]


def test_follows_a_socket_to_the_end():
    with StandIn(subscribe=socket_of(*WHOLE)) as host:
        result = watch(host)
        assert result.returncode == 0, result.stderr
        assert "processing 50 %" in result.stderr and "ready 100 %" in result.stderr and "\r" not in result.stderr
        assert result.stdout == f"{JOB}  ready  2 files  10 B\n"
        assert host.targets() == [f"/v1/download/subscribe/{JOB}"]


def test_messages_that_come_with_the_upgrade_are_not_lost():
    def act(visit):
        visit.upgrade(b"".join(frame(1, json.dumps(value).encode()) for value in WHOLE))
        visit.receive()

    with StandIn(subscribe=act) as host:
        result = watch(host, "--json")
        assert result.returncode == 0 and len(types(result)) == 3


def test_prints_each_message_as_a_line():
    with StandIn(subscribe=socket_of(*WHOLE)) as host:
        result = watch(host, "--json")
        assert result.returncode == 0 and result.stderr == ""
        assert list(map(json.loads, result.stdout.splitlines())) == WHOLE


@pytest.mark.parametrize(
    "last, reason",
    [
        (message("error", 3), "the job failed: gone"),
        (message("status", 3, job("cancelled", 3)), "the job was cancelled"),
        (message("status", 3, job("expired", 3)), "expired"),
    ],
)
@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_job_that_ends_otherwise_is_status_1_with_the_reason(last, reason, transport):
    first = message("error", 2, {"code": "c", "message": "slow\x1b[31m", "final": False})
    parts = [message("status", 1), first, last]
    with StandIn(subscribe=socket_of(*parts), stream=stream_of(*parts)) as host:
        result = watch(host, "--transport", transport)
        assert result.returncode == 1 and reason in result.stderr
        assert "made again: slow\\u{1b}" in result.stderr


@pytest.mark.parametrize("transport", ["auto", "websocket", "sse", "polling"])
def test_an_unknown_job_is_an_error_at_once(transport):
    with StandIn() as host:
        result = watch(host, "--transport", transport)
        assert result.returncode == 1 and "there is no such job" in result.stderr
        assert len(host.targets()) == 1


@pytest.mark.parametrize("status", [400, 403, 426, 502])
def test_a_refused_upgrade_leads_to_a_stream(status):
    with StandIn(subscribe=refused(status), stream=stream_of(*WHOLE)) as host:
        result = watch(host, "--json")
        assert result.returncode == 0 and len(types(result)) == 3
        assert "going on with sse" in result.stderr
        assert routes(host) == ["subscribe", "stream"]


def test_an_upgrade_that_hangs_leads_to_a_stream():
    with StandIn(subscribe=lambda visit: visit.wait_until_gone(), stream=stream_of(*WHOLE)) as host:
        start = time.monotonic()
        assert watch(host).returncode == 0
        assert 4.5 < time.monotonic() - start < 20
        assert routes(host) == ["subscribe", "stream"]


def test_sockets_that_die_without_a_word_lead_to_a_stream_and_streams_to_polling():
    polled = [lambda v: v.answer(200, job("processing", 2), etag='"2"'), lambda v: v.answer(200, job("ready", 4, 2))]
    with StandIn(subscribe=dies, stream=lambda visit: None, job=polled) as host:
        result = watch(host, "--json")
        assert result.returncode == 0, result.stderr
        assert types(result) == [("status", 2), ("complete", 4)]
        assert routes(host) == ["subscribe"] * 2 + ["stream"] * 2 + ["job"] * 2
        assert host.targets()[-1].endswith("?wait=20")
        assert host.requests[-1].headers["if-none-match"] == '"2"'


def test_polling_bears_with_304_and_5xx():
    acts = [refused(503), lambda v: v.answer(200, job("processing", 2), etag='"2"'), lambda v: v.answer(304),
            refused(502), lambda v: v.answer(200, job("failed", 9, error="no source"))]
    with StandIn(job=acts) as host:
        result = watch(host, "--transport", "polling", "--json")
        assert result.returncode == 1 and "no source" in result.stderr
        assert types(result) == [("status", 2), ("error", 9)]


def test_comes_back_behind_the_last_message():
    acts = [socket_of(*WHOLE[:1], code=1012), socket_of(WHOLE[0], WHOLE[1], code=1001), socket_of(WHOLE[2])]
    with StandIn(subscribe=acts) as host:
        start = time.monotonic()
        result = watch(host, "--json")
        assert result.returncode == 0 and types(result) == [("status", 1), ("progress", 2), ("complete", 4)]
        assert time.monotonic() - start < 5
        assert [target.partition("?")[2] for target in host.targets()] == ["", "since=1", "since=2"]


def test_a_stream_comes_back_with_its_last_id_after_the_hosts_delay():
    times = []

    def noted(act):
        return lambda visit: (times.append(time.monotonic()), act(visit))

    acts = [noted(stream_of(WHOLE[0], retry=1500)), noted(stream_of(*WHOLE[1:]))]
    with StandIn(stream=acts) as host:
        assert watch(host, "--transport", "sse").returncode == 0
        assert host.requests[1].headers["last-event-id"] == "1"
        assert times[1] - times[0] >= 1.5


def test_204_and_close_1000_are_followed_by_a_question():
    over = [lambda v: v.answer(200, job("ready", 4, 2))]
    with StandIn(stream=lambda visit: visit.answer(204), job=over, subscribe=socket_of()) as host:
        for transport in ["sse", "websocket"]:
            result = watch(host, "--transport", transport, "--json")
            assert result.returncode == 0 and types(result) == [("complete", 4)]


def test_pings_are_answered_and_fragments_joined():
    answers = []

    def act(visit):
        visit.upgrade()
        data = json.dumps(WHOLE[2]).encode()
        visit.frame(1, data[:10], final=False)
        visit.frame(9, b"here?")
        visit.frame(0, data[10:], final=True)
        answers.extend([visit.receive(), visit.receive()])

    with StandIn(subscribe=act) as host:
        assert watch(host).returncode == 0
        assert answers == [(10, b"here?"), (8, b"\x03\xe8")]


def test_gives_up_on_a_host_that_stays_away():
    with StandIn(subscribe=socket_of(WHOLE[0], code=1011)) as host:
        process = subprocess.Popen(command(host.url, "--patience", "1"), stderr=subprocess.PIPE, text=True)
        wait_until(lambda: host.targets())
        host.listener.close()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and "nothing was heard of the host" in errors
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        result = watch(f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert result.returncode == 1 and "Is the host running?" in result.stderr


@pytest.mark.parametrize("transport", ["websocket", "sse", "polling"])
def test_ctrl_c_ends_with_130(transport):
    def hangs(visit):
        if transport == "websocket":
            visit.upgrade()
        elif transport == "sse":
            visit.open_stream()
        visit.wait_until_gone()

    with StandIn(subscribe=hangs, stream=hangs, job=hangs) as host:
        process = subprocess.Popen(command(host.url, "--transport", transport))
        wait_until(lambda: host.targets())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_wrong_arguments_are_refused():
    for arguments in (["watch"], ["watch", "a/b"], ["watch", JOB, "--url", "ftp://x"], ["watch", JOB, "--patience", "0"]):
        assert subprocess.run([FERRY, *arguments], capture_output=True, timeout=30).returncode == 64
    text = subprocess.run([FERRY, "watch", "--help"], capture_output=True, text=True, timeout=30).stdout
    assert "Examples:" in text and "--transport" in text
