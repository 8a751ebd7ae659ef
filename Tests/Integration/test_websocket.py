"""Sockets against RFC 6455 and 7692, as the well-known conformance suites do it, and with an independent client."""

import contextlib
import os
import random
import socket
import struct
import time
import zlib

import pytest
from conftest import ROOT, SOAK, Host, stop_private_redis
from support import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from wsclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Deflated, Frames, fragments, frame

HELLO = b"Hello, world!"
LARGEST = 16 << 20


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("echo")
    host = Host(folder, functions=ROOT / "Tests" / "Fixtures" / "functions", args=("--only", "echo"))
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    assert " error " not in host.text()
    stop_private_redis(folder)


@pytest.fixture
def peer(echo):
    with Frames(echo.port) as peer:
        assert peer.status == 101
        yield peer


# 1: framing


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
@pytest.mark.parametrize("chop", [None, 997])
def test_messages_of_every_length_form(peer, opcode, size, chop):
    payload = b"*" * size if opcode == TEXT else bytes(range(256)) * (size // 256 + 1)
    payload = payload[:size]
    peer.send(frame(opcode, payload), chop=chop)
    peer.expect((opcode, payload))
    peer.finish()


# 2: pings and pongs


@pytest.mark.parametrize("payload", [b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125])
@pytest.mark.parametrize("chop", [None, 1])
def test_pings_are_answered(peer, payload, chop):
    peer.send(frame(PING, payload), chop=chop)
    peer.expect((PONG, payload))
    peer.finish()


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("size", [126, 65536])
def test_long_control_frames_are_refused(peer, opcode, size):
    peer.send(frame(opcode, b"\xfe" * size))
    peer.expect_close(1002)


def test_unsolicited_pongs_are_ignored(peer):
    peer.send(frame(PONG), frame(PONG, b"unsolicited"), frame(PING, b"ping"))
    peer.expect((PONG, b"ping"))
    peer.finish()


@pytest.mark.parametrize("chop", [None, 1])
def test_ten_pings_are_answered_in_order(peer, chop):
    payloads = [b"payload-%d" % number for number in range(10)]
    peer.send(*(frame(PING, payload) for payload in payloads), chop=chop)
    peer.expect(*((PONG, payload) for payload in payloads))
    peer.finish()


# 3: reserved bits


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
@pytest.mark.parametrize("chop", [None, 1])
def test_reserved_bits_fail_after_what_came_before(peer, rsv, opcode, chop):
    payload = b"\x03\xe8" if opcode == CLOSE else HELLO
    peer.send(frame(TEXT, HELLO), frame(opcode, payload, rsv=rsv), frame(PING), chop=chop)
    peer.expect((TEXT, HELLO))
    peer.expect_close(1002)


# 4: opcodes


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"reserved opcode payload"])
@pytest.mark.parametrize("before", [(), (TEXT,)])
def test_reserved_opcodes_fail(peer, opcode, payload, before):
    peer.send(*(frame(kind, HELLO) for kind in before), frame(opcode, payload), frame(PING))
    peer.expect(*((kind, HELLO) for kind in before))
    peer.expect_close(1002)


# 5: fragmentation


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_fragmented_control_frames_fail(peer, opcode):
    peer.send(frame(opcode, b"\x03\xe8", fin=False), frame(CONTINUATION, b"rest"))
    peer.expect_close(1002)


@pytest.mark.parametrize("chop", [None, 1])
def test_a_ping_between_fragments_is_answered_first(peer, chop):
    peer.send(
        frame(TEXT, b"fragment1", fin=False), frame(PING, b"ping"), frame(CONTINUATION, b"fragment2"), chop=chop
    )
    peer.expect((PONG, b"ping"), (TEXT, b"fragment1fragment2"))
    peer.finish()


def test_a_ping_is_answered_before_the_last_fragment_comes(peer):
    for number in range(3):
        peer.send(frame(CONTINUATION if number else TEXT, b"part%d" % number, fin=False), frame(PING, b"%d" % number))
        peer.expect((PONG, b"%d" % number))
    peer.send(frame(CONTINUATION, b"end"))
    peer.expect((TEXT, b"part0part1part2end"))
    peer.finish()


def test_fragments_may_be_empty(peer):
    peer.send(frame(TEXT, b"", fin=False), frame(CONTINUATION, b"middle", fin=False), frame(CONTINUATION))
    peer.send(*[frame(BINARY, b"", fin=False), *[frame(CONTINUATION, b"", fin=False)] * 5, frame(CONTINUATION)])
    peer.expect((TEXT, b"middle"), (BINARY, b""))
    peer.finish()


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("chop", [None, 1])
@pytest.mark.parametrize("before", [(), (TEXT,)])
def test_a_continuation_of_nothing_fails(peer, fin, chop, before):
    peer.send(
        *(frame(kind, HELLO) for kind in before), frame(CONTINUATION, b"non-continuation", fin=fin),
        frame(TEXT, HELLO), chop=chop,
    )
    peer.expect(*((kind, HELLO) for kind in before))
    peer.expect_close(1002)


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
def test_a_message_within_another_fails(peer, fin, first, second):
    peer.send(frame(first, b"fragment1", fin=False), frame(second, b"fragment2", fin=fin))
    peer.expect_close(1002)


# 6: UTF-8

VALID = [
    b"", b"hello\x24world", b"hello\xc2\xa2world", b"hello\xe2\x82\xacworld", b"hello\xf0\xa4\xad\xa2world",
    "κόσμε".encode(), "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    # The first and the last of each length, the neighbours of the surrogates, the replacement character.
    b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80",
    b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf",
    b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd",
    # Non-characters are characters.
    b"\xef\xbf\xbe", *(chr(plane << 16 | last).encode() for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)),
]
INVALID = [
    # Beyond U+10FFFF, five and six bytes.
    b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80", b"\xfb\xbf\xbf\xbf\xbf",
    b"\xfc\x84\x80\x80\x80\x80", b"\xfd\xbf\xbf\xbf\xbf\xbf",
    # Continuation bytes alone.
    b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", bytes(range(0x80, 0xC0)),
    # Lead bytes alone.
    b"".join(bytes([lead]) + b" " for lead in range(0xC0, 0xE0)),
    b"".join(bytes([lead]) + b" " for lead in range(0xE0, 0xF0)),
    b"".join(bytes([lead]) + b" " for lead in range(0xF0, 0xF8)),
    # The last byte missing.
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xef\xbf\xf7\xbf\xbf",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce", b"\xf0\x90\x8d",
    # Bytes that are never.
    b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",
    # Overlong.
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",
    b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",
    # Surrogates, alone and in pairs.
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf",
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",
]


@pytest.mark.parametrize("payload", VALID, ids=lambda payload: payload.hex()[:24] or "empty")
def test_text_comes_back_however_it_is_fragmented(peer, payload):
    peer.send(frame(TEXT, payload), fragments(TEXT, payload, 1), frame(TEXT, payload))
    peer.expect(*[(TEXT, payload)] * 3)
    peer.finish()


@pytest.mark.parametrize("payload", INVALID, ids=lambda payload: payload.hex()[:24])
def test_what_is_no_text_fails(echo, payload):
    with pytest.raises(UnicodeDecodeError):
        payload.decode()
    for data in (frame(TEXT, payload), fragments(TEXT, payload, 1), frame(TEXT, HELLO + payload)):
        with Frames(echo.port) as peer:
            peer.send(data)
            peer.expect_close(1007)
    with Frames(echo.port) as peer:
        peer.send(frame(BINARY, payload), frame(CLOSE, b"\x03\xe8" + payload))
        peer.expect((BINARY, payload))
        peer.expect_close(1007)


ENDS = [b"", *(end + b"\x80" * rest for end in (b"\x80", b"\x90", b"\xa0") for rest in range(3))]


def can_become_text(data):
    for end in ENDS:
        try:
            (data + end).decode()
            return True
        except UnicodeDecodeError:
            continue
    return False


def first_wrong(payload):
    """The number of bytes with which it is certain; `None` when more might have made it right."""
    return next((n for n in range(1, len(payload) + 1) if not can_become_text(payload[:n])), None)


@pytest.mark.parametrize("payload", [b for b in INVALID if first_wrong(b)], ids=lambda payload: payload.hex()[:24])
def test_it_fails_at_once_and_not_with_the_end(echo, payload):
    good = "κόσμε".encode()
    count = first_wrong(payload)
    # The rest of the frame never comes.
    whole = frame(TEXT, good + payload + good)
    with Frames(echo.port) as peer:
        peer.send(whole[: -len(good) - len(payload) + count])
        peer.expect_close(1007)
    # Nor do the other fragments.
    with Frames(echo.port) as peer:
        peer.send(frame(TEXT, good, fin=False))
        for index in range(count):
            peer.send(frame(CONTINUATION, payload[index : index + 1], fin=False))
        peer.expect_close(1007)
    # One byte less might still become text.
    with Frames(echo.port) as peer:
        peer.send(whole[: -len(good) - len(payload) + count - 1])
        peer.socket.settimeout(0.02)
        with pytest.raises(TimeoutError):
            peer.receive()


# 7: close


def test_a_message_before_the_close_is_answered(peer):
    peer.send(frame(TEXT, HELLO), frame(CLOSE, b"\x03\xe8"))
    peer.expect((TEXT, HELLO))
    peer.expect_close(1000)


@pytest.mark.parametrize(
    "after", [frame(CLOSE, b"\x03\xe8"), frame(PING), frame(TEXT, HELLO), frame(3), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 9999]
)
def test_nothing_is_done_after_a_close(peer, after):
    peer.send(frame(CLOSE, b"\x03\xe8"), after)
    peer.expect_close(1000)


def test_a_close_within_a_message_ends_it(peer):
    peer.send(frame(TEXT, b"fragment1", fin=False), frame(CLOSE), frame(CONTINUATION, b"fragment2"))
    peer.expect_close(None)


@pytest.mark.parametrize(
    "payload, code",
    [
        (b"", None), (b"\x03", 1002), (b"\x03\xe8", 1000), (b"\x03\xe8Hello World!", 1000),
        (b"\x03\xe8" + b"*" * 123, 1000), (b"\x03\xe8" + "☃".encode() * 41, 1000),
        (b"\x03\xe8" + b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80", 1007), (b"\x03\xe8\xce", 1007),
    ],
)
def test_close_frames_of_every_form(peer, payload, code):
    peer.send(frame(CLOSE, payload))
    peer.expect_close(code)


CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]


@pytest.mark.parametrize("code", CODES)
def test_codes_come_back(peer, code):
    peer.send(frame(CLOSE, struct.pack("!H", code) + b"why"))
    peer.expect_close(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_codes_that_may_not_be_sent_fail(peer, code):
    peer.send(frame(CLOSE, struct.pack("!H", code)))
    peer.expect_close(1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_what_is_not_masked_fails(peer, opcode):
    peer.send(frame(opcode, b"", mask=False))
    peer.expect_close(1002)


@pytest.mark.parametrize(
    "head",
    [
        b"\x82\xfe\x00\x7d", b"\x82\xfe\x00\x00", b"\x82\xff" + struct.pack("!Q", 65535),
        b"\x82\xff" + struct.pack("!Q", 1), b"\x82\xff\x80" + bytes(7), b"\x82\xff" + b"\xff" * 8,
    ],
)
def test_lengths_out_of_range_or_too_long_in_form_fail(peer, head):
    peer.send(head)
    peer.expect_close(1002)


# 9 and 10: limits

SIZES = [64 << 10, 256 << 10, 1 << 20] + ([4 << 20, 8 << 20] if SOAK else []) + [LARGEST]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", SIZES)
def test_large_messages(peer, opcode, size):
    payload = ("BAsd7&jh23" * (size // 10 + 1)).encode()[:size] if opcode == TEXT else os.urandom(size)
    peer.send(frame(opcode, payload))
    peer.expect((opcode, payload))
    peer.finish()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20, 4 << 20])
def test_a_message_in_fragments_of_any_size(peer, opcode, size):
    payload = b"*" * (4 << 20 if SOAK else max(256 << 10, size))
    peer.send(fragments(opcode, payload, size))
    peer.expect((opcode, payload))
    peer.finish()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("chop", [64, 128, 256, 512, 1024, 2048])
def test_a_frame_in_pieces_of_any_size(peer, opcode, chop):
    payload = b"*" * (1 << 20 if SOAK else 64 << 10)
    peer.send(frame(opcode, payload), chop=chop)
    peer.expect((opcode, payload))
    peer.finish()


@pytest.mark.parametrize("size", [0, 16, 64, 256, 1024, 4096, 16384, 65536])
def test_many_round_trips(peer, size):
    for number in range(1000 if SOAK else 100):
        payload = bytes([number & 255]) * size
        peer.send(frame(BINARY, payload))
        peer.expect((BINARY, payload))
    peer.finish()


def test_65536_fragments(peer):
    peer.send(fragments(TEXT, b"x" * 65536, 1))
    peer.expect((TEXT, b"x" * 65536))
    peer.send(fragments(BINARY, bytes(LARGEST if SOAK else 4 << 20), 256 if SOAK else 64))
    peer.expect((BINARY, bytes(LARGEST if SOAK else 4 << 20)))
    peer.finish()


def test_one_byte_more_than_the_largest_message_fails_with_the_head(peer):
    peer.send(b"\x82\xff" + struct.pack("!Q", LARGEST + 1))
    peer.expect_close(1009)


def test_fragments_beyond_the_largest_message_fail(peer):
    # What is on its way when the server has given up is lost with the connection; so nothing is.
    peer.send(frame(BINARY, bytes(LARGEST), fin=False))
    peer.send(frame(PING))
    peer.expect((PONG, b""))
    peer.send(b"\x80\x81")
    peer.expect_close(1009)


# 12 and 13: compression

OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
    *(f"permessage-deflate; server_max_window_bits={bits}" for bits in (8, 9, 12, 15)),
    *(f"permessage-deflate; server_no_context_takeover; server_max_window_bits={bits}" for bits in (8, 9, 15)),
    "permessage-deflate; server_max_window_bits=7, permessage-deflate; server_no_context_takeover, permessage-deflate",
]
MESSAGES = [
    (16, None), (64, None), (256, None), (1024, None), (4096, None), (8192, None), (16384, None), (32768, None),
    (65536, None), (131072, None), (8192, 256), (32768, 256), (131072, 256), (131072, 1024), (131072, 4096),
    (131072, 32768),
]


def texts(seed, size):
    """Endless text that compresses like prose, in characters of one to four bytes."""
    chance = random.Random(seed)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyzäß€😀", k=chance.randint(1, 9))) for _ in range(500)]
    text = " ".join(chance.choices(words, k=max(200, size // 2)))
    while True:
        start = chance.randrange(len(text) // 2)
        yield text[start : start + size].encode()[:size].decode(errors="ignore").encode()


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("size, fragment", MESSAGES if SOAK else MESSAGES[::3])
def test_compressed_messages_come_back(echo, offer, size, fragment):
    with Deflated(echo.port, offer) as peer:
        payloads = texts(size, size)
        for number in range(1000 if SOAK else 12):
            payload = next(payloads)
            compressed = peer.echo(TEXT, payload, fragment)
            if "server_no_context_takeover" not in peer.agreed or len(payload) > 600:
                assert compressed
            if number < 12:
                peer.echo(BINARY, random.Random(number).randbytes(size), fragment)
        peer.finish()


def test_the_agreement_follows_the_offer(echo):
    for offer, expected in [
        ("permessage-deflate", {}),
        ("permessage-deflate; server_max_window_bits=9", {"server_max_window_bits": "9"}),
        ("permessage-deflate; server_no_context_takeover", {"server_no_context_takeover": ""}),
        ("permessage-deflate; client_no_context_takeover", {"client_no_context_takeover": ""}),
    ]:
        with Deflated(echo.port, offer) as peer:
            assert peer.agreed == expected
            peer.finish()
    for offer in ("permessage-deflate; x", "permessage-deflate; server_max_window_bits", "deflate-frame"):
        with Frames(echo.port, headers=[f"Sec-WebSocket-Extensions: {offer}"]) as peer:
            assert peer.status == 101 and "sec-websocket-extensions" not in peer.headers
            peer.finish()


def test_plain_and_compressed_messages_mix(echo):
    with Deflated(echo.port, "permessage-deflate") as peer:
        peer.echo(TEXT, HELLO)
        peer.send(frame(TEXT, HELLO))
        opcode, rsv, data = peer.receive()
        assert (opcode, rsv, peer.inflate(data)) == (TEXT, 4, HELLO)
        peer.echo(BINARY, b"")
        peer.echo(TEXT, HELLO)
        peer.send(frame(PING, b"p"))
        peer.expect((PONG, b"p"))
        peer.finish()


@pytest.mark.parametrize(
    "data, code",
    [
        (frame(TEXT, b"\xff\xff\xff", rsv=4), 1007), (frame(BINARY, b"\xf2\x48", rsv=4), 1007),
        (frame(TEXT, b"\xf2\x48", fin=False, rsv=4) + frame(CONTINUATION, b"\xcd", rsv=4), 1002),
        (frame(PING, b"", rsv=4), 1002), (frame(TEXT, b"\x00", rsv=6), 1002), (frame(TEXT, b"\x00", rsv=2), 1002),
    ],
)
def test_broken_compressed_messages_fail(echo, data, code):
    with Deflated(echo.port, "permessage-deflate") as peer:
        peer.echo(TEXT, HELLO)
        peer.send(data)
        peer.expect_close(code)


def test_compressed_text_is_checked_before_it_ends(echo):
    with Deflated(echo.port, "permessage-deflate") as peer:
        peer.send(frame(TEXT, peer.deflate(HELLO + b"\xed\xa0"), fin=False, rsv=4))
        peer.expect_close(1007)


def test_a_bomb_ends_at_the_largest_message(echo):
    with Deflated(echo.port, "permessage-deflate") as peer:
        assert peer.echo(BINARY, bytes(LARGEST))
        bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = bomb.compress(bytes(LARGEST + 1)) + bomb.flush(zlib.Z_SYNC_FLUSH)
        peer.send(frame(BINARY, data, rsv=4))
        peer.expect_close(1009)


def test_large_compressed_messages_take_linear_time(echo):
    with Deflated(echo.port, "permessage-deflate") as peer:
        payloads = texts(1, 131072)

        def seconds(count, size):
            start = time.monotonic()
            for _ in range(count):
                peer.echo(TEXT, next(payloads)[:size].decode(errors="ignore").encode(), 256)
            return time.monotonic() - start

        seconds(5, 4096)
        small, large = seconds(200, 4096), seconds(1000 if SOAK else 50, 131072)
        # 32 times the bytes a message: far from 32 times 32.
        assert large / (1000 if SOAK else 50) < 100 * small / 200 + 0.05
        peer.finish()


# The handshake


def test_requests_that_are_no_handshake(echo):
    def status(*lines):
        with socket.create_connection(("127.0.0.1", echo.port), timeout=20) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            answer = connection.recv(65536).decode()
            head = dict(line.lower().split(": ", 1) for line in answer.split("\r\n\r\n")[0].split("\r\n")[1:])
            return int(answer.split()[1]), head

    good = [
        "GET /echo HTTP/1.1", "Host: h", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
    ]
    assert status(*good)[0] == 101
    assert status(*good, "Origin: https://h")[0] == 101
    assert status(*good, "Origin: https://other")[0] == 403
    for missing in (2, 3, 5):
        code, head = status(*good[:missing], *good[missing + 1 :])
        assert code == 426 and head["upgrade"] == "websocket" and head["sec-websocket-version"] == "13"
    assert status(*good[:4], *good[5:])[0] == 400
    assert status(*good[:4], "Sec-WebSocket-Key: short", good[5])[0] == 400
    assert status(*good, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")[0] == 400
    assert status(*good, "Sec-WebSocket-Extensions: a b")[0] == 400
    assert status(good[0].replace("GET", "POST"), *good[1:])[0] == 405


# An independent client


@pytest.mark.parametrize("compression", ["deflate", None])
def test_the_websockets_client(echo, compression):
    with connect(f"ws://127.0.0.1:{echo.port}/echo", compression=compression, max_size=None) as client:
        for message in ("", "Grüße", b"", b"\x00\xff", "x" * 70000, os.urandom(1 << 20), "é" * (LARGEST // 2)):
            client.send(message)
            assert client.recv(timeout=60) == message
        client.send(["frag", "men", "ted"])
        assert client.recv(timeout=20) == "fragmented"
        assert client.ping(b"here").wait(20)
    assert client.close_code == 1000


def test_shutdown_sends_clients_elsewhere(make_host):
    host = make_host(functions=ROOT / "Tests" / "Fixtures" / "functions", args=("--only", "echo"))
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(f"ws://127.0.0.1:{host.port}/echo")) for _ in range(20)]
        for client in clients:
            client.send("here")
            assert client.recv(timeout=20) == "here"
        start = time.monotonic()
        host.process.terminate()
        for client in clients:
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=20)
            assert client.close_code == 1012
        assert host.process.wait(20) == 0
        assert time.monotonic() - start < 10


def test_sockets_leave_nothing_behind(echo):
    handles = lambda: len(os.listdir(f"/proc/{echo.process.pid}/fd"))  # noqa: E731
    before = handles()
    for number in range(100):
        with Frames(echo.port) as peer:
            peer.send(frame(TEXT, HELLO))
            peer.expect((TEXT, HELLO))
            if number % 2:
                peer.finish()
    wait_until(lambda: handles() <= before, 20, lambda: f"{before} before, {handles()} now")
