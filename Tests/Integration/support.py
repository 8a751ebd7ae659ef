"""What the integration tests share: a plain HTTP client, archives' checks, a proxy that makes faults."""

import http.client
import io
import json
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time
import urllib.parse
import zipfile
import zlib

import stream_unzip


def wait_until(condition, timeout=30, explain=lambda: ""):
    """Waits for a condition to give a true value and returns it; fails when the deadline passes."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not so within {timeout} s. {explain()}"
        time.sleep(0.02)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Client:
    """A connection for each request; nothing is hidden by a pool."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("content-type", "application/json")
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body=body, **options)

    def initiate(self, ids, **options):
        answer = self.post("/v1/download/initiate", {"file_ids": ids, **options})
        assert answer.status == 202, answer.body
        return answer.json()["jobId"]

    def job(self, job_id):
        answer = self.get(f"/v1/download/job/{job_id}")
        assert answer.status == 200, answer.body
        return answer.json()

    def finished(self, job_id, timeout=120):
        def ended():
            job = self.job(job_id)
            return job if job["status"] in ("ready", "failed", "expired", "cancelled") else None

        return wait_until(ended, timeout, lambda: json.dumps(self.job(job_id))[:2000])

    def archive(self, job_id):
        link = self.get(f"/v1/download/job/{job_id}/download-url")
        assert link.status == 200, link.body
        link = link.json()
        data = curl(link["downloadUrl"])
        assert len(data) == link["fileSize"]
        assert link["checksum"] == {"algorithm": "crc32", "value": f"{zlib.crc32(data):08x}"}
        return data


def curl(url, expected=200):
    """Fetches a URL with curl, as a stranger would."""
    result = subprocess.run(
        ["curl", "-sS", "--path-as-is", "--globoff", "-m", "60", "-w", "\n%{http_code}", url], capture_output=True, check=True
    )
    body, _, status = result.stdout.rpartition(b"\n")
    assert int(status) == expected, (status, body[:500])
    return body


def check_archive(data, members, folder):
    """Reads an archive with five independent readers; `members` maps names to bytes, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = [name for name in archive.namelist() if name != "_manifest.json"]
        assert names == list(members)
        for name, content in members.items():
            assert archive.read(name) == content, name
    path = folder / "archive.zip"
    path.write_bytes(data)
    for command in (["unzip", "-tqq", str(path)], ["7z", "t", str(path)]):
        result = subprocess.run(command, capture_output=True)
        assert result.returncode == 0, result.stdout + result.stderr
    streamed = {}
    for name, size, chunks in stream_unzip.stream_unzip(iter([data])):
        streamed[name.decode()] = b"".join(chunks)
    streamed.pop("_manifest.json", None)
    assert streamed == members
    if shutil.which("java"):
        check_with_java(path, members, folder)


JAVA_READER = """
import java.io.*; import java.util.zip.*;
public class Reader {
  public static void main(String[] a) throws Exception {
    try (ZipInputStream in = new ZipInputStream(new BufferedInputStream(new FileInputStream(a[0])))) {
      ZipEntry entry;
      while ((entry = in.getNextEntry()) != null) {
        CRC32 crc = new CRC32(); byte[] buffer = new byte[65536]; int n;
        while ((n = in.read(buffer)) > 0) crc.update(buffer, 0, n);
        System.out.println(Long.toHexString(crc.getValue()) + " " + entry.getName());
      }
    }
  }
}
"""


def check_with_java(path, members, folder):
    source = folder / "Reader.java"
    source.write_text(JAVA_READER)
    result = subprocess.run(["java", str(source), str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = dict(reversed(line.split(" ", 1)) for line in result.stdout.splitlines())
    found.pop("_manifest.json", None)
    assert found == {name: f"{zlib.crc32(content):x}" for name, content in members.items()}


class Fault:
    """One rule of the proxy: applies to requests that match, `times` times (for ever when None)."""

    def __init__(self, method, path, times=None, status=None, body=b"", cut_after=None, pause=0.0, swallow_body=True):
        self.method, self.path, self.times = method, re.compile(path), times
        self.status, self.body, self.cut_after, self.pause = status, body, cut_after, pause
        self.hits = 0


class FaultProxy:
    """An HTTP/1.1 proxy before a store, one connection a request, which answers or damages what its rules match.

    The Host header is passed on as it came, so signatures made for the proxy's address hold.
    """

    def __init__(self, host, port):
        self.rules, self.requests, self.lock = [], [], threading.Lock()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                proxy.serve(self.request, (host, port))

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def add(self, *arguments, **options):
        rule = Fault(*arguments, **options)
        self.rules.append(rule)
        return rule

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def find(self, method, path):
        with self.lock:
            self.requests.append((method, path))
            for rule in self.rules:
                if rule.method in (method, "*") and rule.path.search(path) and (rule.times is None or rule.hits < rule.times):
                    rule.hits += 1
                    return rule
        return None

    def serve(self, client, upstream_address):
        client.settimeout(120)
        try:
            head, rest = read_head(client)
            if not head:
                return
            lines = head.decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            rule = self.find(method, path)
            fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:] if ":" in line}
            length = int(fields.get("content-length", 0))
            if rule and rule.status:
                read_exactly(client, length - len(rest), keep=False)
                if rule.pause:
                    time.sleep(rule.pause)
                reason = http.client.responses.get(rule.status, "Fault")
                client.sendall(
                    f"HTTP/1.1 {rule.status} {reason}\r\ncontent-length: {len(rule.body)}\r\n"
                    "content-type: application/xml\r\nconnection: close\r\n\r\n".encode() + rule.body
                )
                return
            with socket.create_connection(upstream_address, timeout=120) as upstream:
                kept = [line for line in lines[1:] if line and line.split(":", 1)[0].lower() not in ("connection", "expect")]
                upstream.sendall("\r\n".join([lines[0], *kept, "connection: close", "", ""]).encode("latin-1"))
                if fields.get("expect", "").lower() == "100-continue":
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                upstream.sendall(rest)
                missing = length - len(rest)
                while missing > 0:
                    chunk = client.recv(min(missing, 1 << 18))
                    if not chunk:
                        return
                    upstream.sendall(chunk)
                    missing -= len(chunk)
                answer_head, body = read_head(upstream)
                answer_lines = [
                    line for line in answer_head.decode("latin-1").split("\r\n")
                    if line and not line.lower().startswith(("connection:", "keep-alive:"))
                ]
                client.sendall("\r\n".join([*answer_lines, "connection: close", "", ""]).encode("latin-1"))
                sent = 0
                body = body or upstream.recv(1 << 16)
                while body:
                    if rule and rule.cut_after is not None and sent + len(body) > rule.cut_after:
                        client.sendall(body[: rule.cut_after - sent])
                        return
                    client.sendall(body)
                    sent += len(body)
                    if rule and rule.pause:
                        time.sleep(rule.pause)
                    body = upstream.recv(1 << 16)
        except OSError:
            return
        finally:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client.close()


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return b"", b""
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def read_exactly(connection, length, keep=True):
    data = b""
    while length > 0:
        chunk = connection.recv(min(length, 1 << 18))
        if not chunk:
            break
        length -= len(chunk)
        data += chunk if keep else b""
    return data


def raw(port, *pieces, timeout=20, read=True):
    """Sends bytes as they are and returns all that comes back until the host closes or stays silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        for piece in pieces:
            connection.sendall(piece)
        data = b""
        try:
            while read:
                chunk = connection.recv(65536)
                if not chunk:
                    break
                data += chunk
        except (TimeoutError, socket.timeout):
            pass
        return data


def resident_kib(pid, field="VmRSS"):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(f"no {field} for {pid}")
