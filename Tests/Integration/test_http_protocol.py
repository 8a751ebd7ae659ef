"""HTTP/1.1 on plain sockets, answers read by h11: chunked bodies, pipelining, Expect, folded lines, limits.

What a body came as shows in what the answer finds wrong with it, so nothing is enqueued.
"""

import json
import socket
import subprocess

import h11
import pytest
from support import raw

INITIATE = b"POST /v1/download/initiate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
LIVENESS = b"GET /health/liveness HTTP/1.1\r\nhost: x\r\n"
LAST = LIVENESS + b"connection: close\r\n\r\n"


class Wire:
    """A connection that sends bytes as they are and has another implementation read what comes back."""

    def __init__(self, host):
        self.socket = socket.create_connection(("127.0.0.1", host.port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = h11.Connection(h11.CLIENT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def event(self):
        while (event := self.reader.next_event()) is h11.NEED_DATA:
            self.reader.receive_data(self.socket.recv(65536))
        return event

    def begin(self, method="GET"):
        """Tells the reader what was asked, which decides how it reads the answer."""
        self.reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        self.reader.send(h11.EndOfMessage())

    def answer(self, method="GET", informational=0):
        self.begin(method)
        body = b""
        while not isinstance(event := self.event(), h11.EndOfMessage):
            if isinstance(event, h11.InformationalResponse):
                informational -= 1
            elif isinstance(event, h11.Response):
                head = event
            else:
                assert isinstance(event, h11.Data), event
                body += event.data
        assert informational == 0
        if self.reader.our_state is h11.DONE and self.reader.their_state is h11.DONE:
            self.reader.start_next_cycle()
        return head.status_code, dict(head.headers), body

    def ended(self):
        assert self.socket.recv(1) == b""


def chunked(body, sizes, extension=b"", trailers=b""):
    message, start = b"", 0
    for size in sizes:
        piece = body[start : start + size]
        start += size
        if not piece:
            break
        message += b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
    assert start >= len(body)
    return message + b"0%s\r\n%s\r\n" % (extension, trailers)


def named(body):
    """The fields that an answer finds wrong."""
    return [detail["field"] for detail in json.loads(body)["details"]]


BODY = json.dumps({"file_ids": [20_001, 1, "2"], "archive_name": 7}).encode()
WRONG = ["file_ids[1]", "file_ids[2]", "archive_name"]
CHUNKED = INITIATE + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("sizes", [[len(BODY)], [1] * len(BODY), [3, 40, 100], [64, 1, 64]], ids=["one", "bytes", "few", "mixed"])
@pytest.mark.parametrize(
    "extension", [b"", b";a", b";name=value", b'; q="a b;c"', b" ;x=\xff", b";" + b"e" * 150], ids=range(6)
)
def test_chunked_bodies_with_extensions_and_trailers(host, sizes, extension):
    trailers = b"x-checksum: 1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nhost: other\r\n"
    with Wire(host) as wire:
        for given in (b"", trailers):
            wire.send(CHUNKED + chunked(BODY, sizes, extension, given))
            status, _, body = wire.answer("POST")
            assert status == 400 and sorted(named(body)) == sorted(WRONG), body
        # Nothing of a message is taken for the next.
        assert wire.send(LAST).answer()[0] == 200
        wire.ended()


def test_a_chunked_body_may_be_cut_anywhere(host):
    message = CHUNKED + chunked(b'{"file_ids":[1]}', [5, 11], b";e", b"t: u\r\n")
    with Wire(host) as wire:
        for cut in range(1, len(message)):
            wire.send(message[:cut], message[cut:])
            status, _, body = wire.answer("POST")
            assert status == 400 and named(body) == ["file_ids[0]"], (cut, body)
        wire.send(*[bytes([byte]) for byte in message])
        assert named(wire.answer("POST")[2]) == ["file_ids[0]"]


@pytest.mark.parametrize(
    "rest",
    [
        b"g\r\n", b"\r\n", b"-1\r\n", b"0x1\r\na\r\n", b"1 \r\na\r\n", b" 1\r\na\r\n", b"1\na\r\n", b"1;\x01\r\na\r\n", b"1;a\nb\r\n",
        b"ffffffffffffffff\r\n", b"1\r\nab\r\n", b"1\r\na\n", b"1\r\na\r\n0\r\n folded: x\r\n\r\n",
        b"1\r\na\r\n0\r\nt: u\r\n v\r\n\r\n", b"1\r\na\r\n0\r\nno colon\r\n\r\n", b"1\r\na\r\n0\r\nspace : x\r\n\r\n",
    ],
)
def test_wrong_chunks_and_trailers_end_the_connection(host, rest):
    answer = raw(host.port, CHUNKED + rest + LIVENESS + b"\r\n", timeout=5)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"\r\nconnection: close\r\n" in answer


def test_chunk_extensions_and_trailers_have_limits(host):
    for message in (
        chunked(b"x" * 2000, [1] * 2000, b";" + b"e" * 40), b"1;" + b"e" * 20_000 + b"\r\na\r\n0\r\n\r\n",
    ):
        assert raw(host.port, CHUNKED + message, timeout=5).startswith(b"HTTP/1.1 400 ")
    for trailers in (b"t: " + b"v" * 20_000 + b"\r\n", b"t: v\r\n" * 101):
        assert raw(host.port, CHUNKED + chunked(b"{}", [2], trailers=trailers), timeout=5).startswith(b"HTTP/1.1 431 ")
    # As many small chunks as one likes are no attack.
    with Wire(host) as wire:
        wire.send(CHUNKED + chunked(BODY + b" " * 60_000, [1] * (60_000 + len(BODY))))
        assert wire.answer("POST")[0] == 400


@pytest.mark.parametrize("pieces", [1, 2, 7, 50])
def test_pipelined_requests_of_every_framing(host, pieces):
    body = b'{"file_ids":[%d]}'
    requests, expected = b"", []
    for number in range(40):
        identity = b"x-request-id: n%d\r\n" % number
        kind = number % 5
        wrong = body % (number % 7)
        if kind == 0:
            requests += LIVENESS + identity + b"\r\n"
        elif kind == 1:
            requests += INITIATE + identity + b"content-length: %d\r\n\r\n%s" % (len(wrong), wrong)
        elif kind == 2:
            requests += INITIATE + identity + b"transfer-encoding: chunked\r\n\r\n" + chunked(wrong, [4, 20], b";a=b", b"t: u\r\n")
        elif kind == 3:
            requests += b"\r\n" + LIVENESS.replace(b"GET", b"HEAD") + identity + b"\r\n"
        else:
            requests += INITIATE.replace(b"initiate", b"nothing") + identity + b"content-length: 3\r\n\r\nabc"
        expected.append((["GET", "POST", "POST", "HEAD", "POST"][kind], [200, 400, 400, 200, 404][kind]))
    size = -(-len(requests) // pieces)
    with Wire(host) as wire:
        wire.send(*[requests[start : start + size] for start in range(0, len(requests), size)])
        for number, (method, status) in enumerate(expected):
            got, headers, _ = wire.answer(method)
            assert (got, headers[b"x-request-id"]) == (status, b"n%d" % number)
        assert wire.send(LAST).answer()[0] == 200


def test_expect_asks_for_a_body_only_where_it_is_wanted(host):
    expecting = INITIATE + b"expect: 100-continue\r\n"
    with Wire(host) as wire:
        for framing, body in (
            (b"content-length: %d\r\n\r\n" % len(BODY), BODY), (b"transfer-encoding: chunked\r\n\r\n", chunked(BODY, [9, 100])),
        ):
            wire.send(expecting + framing)
            wire.begin("POST")
            asked = wire.event()
            assert isinstance(asked, h11.InformationalResponse) and asked.status_code == 100
            wire.reader = h11.Connection(h11.CLIENT)
            status, _, answer = wire.send(body).answer("POST")
            assert status == 400 and sorted(named(answer)) == sorted(WRONG)
        # A body that is there already need not be asked for.
        status, _, answer = wire.send(expecting + b"content-length: %d\r\n\r\n" % len(BODY) + BODY).answer("POST")
        assert status == 400 and sorted(named(answer)) == sorted(WRONG)
        assert wire.send(LIVENESS + b"expect: 100-continue\r\n\r\n").answer()[0] == 200
    for head, status in (
        (expecting + b"content-length: 2000000\r\n\r\n", 413), (expecting.replace(b"initiate", b"nothing") + b"content-length: 2\r\n\r\n", 404),
        (INITIATE + b"expect: a-present\r\ncontent-length: 2\r\n\r\n", 417),
    ):
        with Wire(host) as wire:
            assert wire.send(head).answer("POST")[0] == status
            wire.ended()
    # HTTP/1.0 knows no such answer.
    old = expecting.replace(b"HTTP/1.1", b"HTTP/1.0") + b"content-length: %d\r\n\r\n" % len(BODY)
    with Wire(host) as wire:
        wire.send(old)
        wire.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.socket.recv(1)
        wire.socket.settimeout(20)
        assert wire.send(BODY).answer("POST")[0] == 400


def test_curl_expects_and_sends_in_chunks(host):
    url = f"{host.url}/v1/download/initiate"
    for options in (["-H", "expect: 100-continue"], ["-H", "transfer-encoding: chunked"], ["-H", "transfer-encoding: chunked", "-H", "expect: 100-continue"]):
        command = ["curl", "-sS", "-m", "20", "-H", "content-type: application/json", "--data-binary", "@-", *options, url]
        answer = subprocess.run(command, input=BODY, capture_output=True, check=True).stdout
        assert sorted(named(answer)) == sorted(WRONG), answer


@pytest.mark.parametrize(
    "fields",
    [
        b"a: b\r\n c\r\n", b"a: b\r\n\tc\r\n", b"a:\r\n b\r\n", b"a: b\r\n \r\n", b"a: b\r\n  c: d\r\n", b"content-length:\r\n 0\r\n",
        b"transfer-encoding:\r\n chunked\r\n", b"a : b\r\n", b"a\r\n", b": b\r\n", b"a: b\rc\r\n", b"a: b\nc: d\r\n", b"a: \0\r\n", b"a\xe9: b\r\n",
    ],
)
def test_folded_and_other_doubtful_fields_are_refused(host, fields):
    answer = raw(host.port, LIVENESS + fields + b"\r\n" + LIVENESS + b"\r\n", timeout=5)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == "malformed_request"


def status_of(host, head):
    answer = raw(host.port, head, timeout=5)
    return int(answer.split(b" ", 2)[1])


def test_limits_hold_to_the_byte(host):
    def head(size):
        start = LIVENESS + b"connection: close\r\nx: "
        return start + b"v" * (size - len(start) - 4) + b"\r\n\r\n"

    def line(size):
        return b"GET /" + b"a" * (size - len(b"GET / HTTP/1.1\r\n")) + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

    def count(number):
        return LIVENESS + b"connection: close\r\n" + b"x: v\r\n" * (number - 2) + b"\r\n"

    assert len(head(16_384)) == 16_384 and status_of(host, head(16_384)) == 200
    assert status_of(host, head(16_385)) == 431
    assert status_of(host, line(8192)) == 404 and status_of(host, line(8193)) == 414
    assert status_of(host, count(100)) == 200 and status_of(host, count(101)) == 431


def test_limits_are_configurable(make_host):
    host = make_host(config={"http": {"maxHeaderBytes": "2KiB", "maxHeaderFields": 8}})
    fields = LIVENESS + b"connection: close\r\n"
    assert status_of(host, fields + b"x: y\r\n" * 6 + b"\r\n") == 200
    assert status_of(host, fields + b"x: y\r\n" * 7 + b"\r\n") == 431
    assert status_of(host, fields + b"x: " + b"y" * 2048 + b"\r\n\r\n") == 431
