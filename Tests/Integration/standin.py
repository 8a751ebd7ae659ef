"""A host that plays a part: it speaks HTTP and WebSocket from raw sockets and does, request by request, what it is told.

A script maps a route (`subscribe`, `stream`, `job`) to a list of acts, one for each request of the route; the last one is
repeated. An act is a function of a `Visit`. What was asked is kept in `requests`.
"""

import base64
import hashlib
import json
import socket
import struct
import threading

JOB = "0b5ad29e-5a0c-4c1e-9c9b-1c1f9a1f2f10"


def job(status, seq, current=0, error=None):
    progress = {"current": current, "total": 2, "percentage": current * 50, "bytes": current * 5, "totalBytes": 10,
                "estimatedTimeRemaining": 1}
    return {"jobId": JOB, "status": status, "progress": progress, "filesProcessed": [], "attempt": 1, "maxAttempts": 3,
            "error": error, "errorCode": error and "network_error", "seq": seq, "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z", "expiresAt": None}


def message(kind, seq, data=None):
    if data is None:
        data = {
            "status": lambda: job("processing", seq), "complete": lambda: job("ready", seq, 2),
            "progress": lambda: {"progress": job("processing", seq, 1)["progress"], "files": []},
            "error": lambda: {"code": "network_error", "message": "gone", "final": True},
        }[kind]()
    return {"type": kind, "data": data, "seq": seq, "timestamp": "2026-01-01T00:00:00Z"}


def frame(opcode, data, final=True):
    head = bytes([(0x80 if final else 0) | opcode])
    head += bytes([len(data)]) if len(data) < 126 else bytes([126]) + struct.pack(">H", len(data))
    return head + data


class Visit:
    """One request and the connection that it came by."""

    def __init__(self, connection, target, headers):
        self.connection, self.target, self.headers = connection, target, headers

    def send(self, data):
        self.connection.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self, status, body=b"", kind="application/json", **headers):
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close"]
        lines += [] if status in (204, 304) else [f"content-length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")
        self.send(body)

    # Sockets

    def upgrade(self, more=b""):
        digest = hashlib.sha1((self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode())
        accept = base64.b64encode(digest.digest()).decode()
        head = ("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                f"sec-websocket-accept: {accept}\r\n\r\n")
        self.send(head.encode() + more)

    def frame(self, opcode, data, final=True):
        self.send(frame(opcode, data, final))

    def text(self, value):
        self.frame(1, json.dumps(value).encode())

    def close(self, code):
        self.frame(8, struct.pack(">H", code))
        self.receive()

    def receive(self):
        """The next frame of the client as opcode and payload, or None."""
        head = self.exactly(2)
        if head is None:
            return None
        assert head[1] & 0x80, "a client's frame must be masked"
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        mask, data = self.exactly(4), self.exactly(size) if size else b""
        return head[0] & 15, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            chunk = self.connection.recv(count - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    # Event streams

    def open_stream(self, retry=None):
        self.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        if retry is not None:
            self.send(f"retry: {retry}\n\n")

    def event(self, value):
        self.send(f"event: {value['type']}\nid: {value['seq']}\ndata: {json.dumps(value)}\n\n")

    def wait_until_gone(self):
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            pass


class StandIn:
    def __init__(self, **script):
        self.script = {route: list(acts) if isinstance(acts, (list, tuple)) else [acts] for route, acts in script.items()}
        self.requests, self.lock = [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def targets(self):
        with self.lock:
            return [visit.target for visit in self.requests]

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            connection.settimeout(60)
            head = b""
            try:
                while b"\r\n\r\n" not in head:
                    chunk = connection.recv(65536)
                    if not chunk:
                        return
                    head += chunk
                lines = head.split(b"\r\n\r\n")[0].decode().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
                visit = Visit(connection, lines[0].split(" ")[1], headers)
                route = visit.target.split("/")[3]
                with self.lock:
                    self.requests.append(visit)
                    acts = self.script.get(route, [lambda visit: visit.answer(404, {"message": "none"})])
                    act = acts.pop(0) if len(acts) > 1 else acts[0]
                act(visit)
            except OSError:
                return
