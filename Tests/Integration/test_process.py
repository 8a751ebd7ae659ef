"""The host as a process: drain, kill, several on one data folder, the command-line client."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import zipfile

import pytest
from conftest import FERRY, ROOT, Host
from support import raw, resident_kib, wait_until
from test_functions import handler, write_function
from test_main_job import put_sources


def test_drains_on_sigterm(make_host, tmp_path):
    functions = tmp_path / "functions"
    write_function(
        functions, "slow", {"http": "GET /slow"}, handler('try await Task.sleep(for: .seconds(2)); return .text("done")')
    )
    host = make_host(functions=functions)
    idle = socket.create_connection(("127.0.0.1", host.port), timeout=20)
    idle.sendall(b"GET /health/readiness HTTP/1.1\r\nhost: x\r\n\r\n")
    assert idle.recv(65536).startswith(b"HTTP/1.1 200")
    busy = socket.create_connection(("127.0.0.1", host.port), timeout=20)
    busy.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(0.3)
    host.process.send_signal(signal.SIGTERM)
    answer = b""
    while chunk := busy.recv(65536):
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"done") and b"connection: close" in answer.lower()
    assert idle.recv(65536) == b""
    assert host.process.wait(30) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", host.port), timeout=2)


def test_several_hosts_share_one_data_folder(make_host, tmp_path):
    first = make_host()
    put_sources(first.s3(), first.bucket, {20_001: b"shared"})
    second = make_host(args=("--only", "status,download-url"))
    assert second.client.post("/v1/download/initiate", {"file_ids": [20_001]}).status == 404
    job_id = first.client.initiate([20_001])
    first.client.finished(job_id)
    assert second.client.job(job_id)["status"] == "ready"
    assert first.stop() == 0
    assert second.client.job(job_id)["status"] == "ready"

    def endpoint_answers():
        """The second host takes the S3 endpoint over, on the same port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(second.credentials()["endpoint"].rsplit(":", 1)[1]))) == 0

    wait_until(endpoint_answers, 20)
    assert second.client.archive(job_id)[:2] == b"PK"
    assert second.stop() == 0
    lingering = subprocess.run(["pgrep", "-f", f"redis-server.*{tmp_path}"], capture_output=True).stdout
    assert lingering == b""


def test_redis_that_an_unlucky_host_left_behind_is_adopted(make_host):
    first = make_host()
    put_sources(first.s3(), first.bucket, {20_001: b"kept"})
    job_id = first.client.initiate([20_001])
    first.client.finished(job_id)
    first.kill()
    second = make_host()
    assert second.client.job(job_id)["status"] == "ready"
    assert second.client.get("/health").status == 200


def test_missing_redis_server_names_the_command_that_installs_it(make_host, tmp_path):
    host = make_host(config={"redis": {"server": str(tmp_path / "absent")}}, wait=False)
    assert host.process.wait(60) != 0
    assert "apt-get install redis-server" in host.text()


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"htpp": {}}, r":1:\d+: .*htpp.*http"),
        ({"http": {"maxConnections": -1}}, r"http\.maxConnections"),
        ({"redis": {"url": "gopher://x"}}, r"redis\.url"),
        ({"downloads": {"urlLifetime": "8h", "nope": 1, "recordRetention": 7}}, r"(?s)nope.*recordRetention|recordRetention.*nope"),
    ],
)
def test_wrong_configuration_is_refused_with_every_reason(make_host, config, expected):
    host = make_host(config=config, wait=False)
    assert host.process.wait(60) != 0
    assert re.search(expected, host.text()), host.text()


def download(*arguments, cwd):
    return subprocess.run([FERRY, "download", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=120)


def test_download_fetches_and_verifies(host, tmp_path):
    put_sources(host.s3(), host.bucket, {60_001: b"one" * 1000, 60_002: b"two"})
    result = download(60_001, 60_002, "--url", host.url, "--output", "out.zip", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "verified" in result.stdout and "\r" not in result.stderr and "100 %" in result.stderr
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.read("60001.zip") == b"one" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.zip"]


def test_download_fails_with_a_reason(host, tmp_path):
    result = download(69_999, "--url", host.url, cwd=tmp_path)
    assert result.returncode == 1 and "failed" in result.stderr
    result = download(5, "--url", host.url, cwd=tmp_path)
    assert result.returncode == 1 and "file_ids[0]" in result.stderr
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        result = download(60_001, "--url", f"http://127.0.0.1:{probe.getsockname()[1]}", cwd=tmp_path)
    assert result.returncode == 1 and "no answer" in result.stderr
    assert download("--url", host.url, cwd=tmp_path).returncode == 64
    assert list(tmp_path.iterdir()) == []


def test_download_refuses_an_archive_that_is_not_what_was_announced(tmp_path):
    """A host of our own that announces another checksum than its archive has."""
    import http.server

    class Liar(http.server.BaseHTTPRequestHandler):
        def answer(self, body, kind="application/json"):
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.answer(b'{"jobId":"j","status":"queued","totalFileIds":1}')

        def do_GET(self):
            if self.path.endswith("/download-url"):
                url = f"http://127.0.0.1:{self.server.server_address[1]}/archive"
                link = {"jobId": "j", "downloadUrl": url, "expiresIn": 1, "fileSize": 5, "bucket": "b",
                        "checksum": {"algorithm": "crc32", "value": "00000000"}}
                self.answer(json.dumps(link).encode())
            elif self.path == "/archive":
                self.answer(b"hello", "application/zip")
            else:
                progress = {"current": 1, "total": 1, "percentage": 100, "bytes": 5, "totalBytes": 5, "estimatedTimeRemaining": 0}
                job = {"jobId": "j", "status": "ready", "progress": progress, "filesProcessed": [], "attempt": 1,
                       "maxAttempts": 3, "error": None}
                self.answer(json.dumps(job).encode())

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        result = download(20_001, "--url", f"http://127.0.0.1:{server.server_address[1]}", cwd=tmp_path)
    finally:
        server.shutdown()
    assert result.returncode == 1 and "CRC-32" in result.stderr
    assert list(tmp_path.iterdir()) == []
