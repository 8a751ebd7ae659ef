"""A WebSocket client on a plain socket that sends whatever it is told to, and takes nothing for granted."""

import base64
import hashlib
import os
import socket
import struct
import zlib

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TAIL = b"\x00\x00\xff\xff"


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, length=None):
    """One frame; `length` is what the head says, in its shortest form."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    length = len(payload) if length is None else length
    marked = 0x80 if mask else 0
    if length < 126:
        head += bytes([marked | length])
    elif length < 65536:
        head += bytes([marked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([marked | 127]) + struct.pack("!Q", length)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + xor(payload, key)


def xor(payload, key):
    count = len(payload)
    keys = (key * (count // 4 + 1))[:count]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(count, "big")


def fragments(opcode, payload, size, rsv=0):
    """A message in frames of at most so many bytes."""
    parts = [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]
    return b"".join(
        frame(opcode if i == 0 else CONTINUATION, part, fin=i == len(parts) - 1, rsv=rsv if i == 0 else 0)
        for i, part in enumerate(parts)
    )


class Frames:
    def __init__(self, port, path="/echo", headers=(), timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16))
        lines = [
            f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", *headers,
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.data += self.take()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if self.status == 101:
            accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
            assert self.headers["sec-websocket-accept"] == accept

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def take(self):
        data = self.socket.recv(262144)
        assert data, "the server has closed the connection"
        return data

    def send(self, *data, chop=None):
        data = b"".join(data)
        if chop is None:
            self.socket.sendall(data)
        else:
            for start in range(0, len(data), chop):
                self.socket.sendall(data[start : start + chop])

    def need(self, count):
        if len(self.data) < count:
            parts = [self.data]
            have = len(self.data)
            while have < count:
                parts.append(self.take())
                have += len(parts[-1])
            self.data = b"".join(parts)

    def receive(self):
        """The next frame: (opcode, rsv, payload). Servers neither mask nor, here, fragment."""
        self.need(2)
        first, length = self.data[0], self.data[1]
        assert first & 0x80 and length < 128, self.data[:2]
        start = 2
        if length >= 126:
            start = 4 if length == 126 else 10
            self.need(start)
            length = int.from_bytes(self.data[2:start], "big")
            assert length >= (126 if start == 4 else 65536), "not the shortest form"
        self.need(start + length)
        payload = self.data[start : start + length]
        self.data = self.data[start + length :]
        return first & 15, first >> 4 & 7, payload

    def expect(self, *expected):
        for opcode, payload in expected:
            received = self.receive()
            assert received == (opcode, 0, payload), (received[0], received[1], received[2][:100])

    def expect_close(self, *codes):
        """The close frame comes next, with one of these codes (`None` for an empty one), and then the end."""
        opcode, rsv, payload = self.receive()
        assert (opcode, rsv) == (CLOSE, 0), (opcode, payload[:100])
        code = int.from_bytes(payload[:2], "big") if payload else None
        assert code in codes, (code, payload)
        payload[2:].decode()
        assert self.data == b""
        assert self.socket.recv(1) == b""

    def finish(self):
        """The closing handshake; nothing else may come before it."""
        self.send(frame(CLOSE, b"\x03\xe8"))
        self.expect_close(1000)


class Deflated(Frames):
    """With permessage-deflate as offered and agreed."""

    def __init__(self, port, offer, **options):
        super().__init__(port, headers=[f"Sec-WebSocket-Extensions: {offer}"], **options)
        assert self.status == 101
        name, *parameters = [part.strip() for part in self.headers["sec-websocket-extensions"].split(";")]
        assert name == "permessage-deflate"
        self.agreed = dict(part.partition("=")[::2] for part in parameters)
        self.server_bits = int(self.agreed.get("server_max_window_bits") or 15)
        self.deflater = self.inflater = None

    def deflate(self, payload, level=6):
        if self.deflater is None or "client_no_context_takeover" in self.agreed:
            self.deflater = zlib.compressobj(level, zlib.DEFLATED, -15)
        data = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        # A flush without anything before it writes nothing.
        return data[:-4] if data.endswith(TAIL) else b"\x00"

    def inflate(self, data):
        if self.inflater is None or "server_no_context_takeover" in self.agreed:
            self.inflater = zlib.decompressobj(-self.server_bits)
        return self.inflater.decompress(data + TAIL)

    def echo(self, opcode, payload, fragment=None):
        data = self.deflate(payload)
        self.send(fragments(opcode, data, fragment or len(data), rsv=4))
        received, rsv, answer = self.receive()
        if rsv:
            answer = self.inflate(answer)
        assert (received, rsv & 3) == (opcode, 0) and answer == payload
        return rsv == 4
