"""TLS on the listener, tried with curl and Python's ssl."""

import json
import signal
import ssl
import subprocess

import pytest
from websockets.sync.client import connect

from conftest import WAYS
from support import wait_until


def make_certificate(folder, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"), "-subj", f"/CN={name}",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    return (folder / "certificate.pem").read_text()


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def tls(tmp_path, make_host, request):
    certificate = make_certificate(tmp_path, "first")
    files = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}
    return make_host(config={"http": {"tls": files}}, args=request.param), certificate, tmp_path


def curl(host, path, *options):
    result = subprocess.run(
        ["curl", "-sS", "-i", "-m", "60", *options, f"https://127.0.0.1:{host.port}{path}"], capture_output=True
    )
    return result.returncode, result.stdout.decode()


def served(host):
    return ssl.get_server_certificate(("127.0.0.1", host.port), timeout=10)


def body(answer):
    return json.loads(answer.partition("\r\n\r\n")[2])


def test_curl_gets_answers_streams_and_hsts(tls):
    host, _, folder = tls
    authority = ("--cacert", str(folder / "certificate.pem"))
    assert f"listening on https://127.0.0.1:{host.port}" in host.text()
    code, answer = curl(host, "/health", *authority)
    assert code == 0 and answer.startswith("HTTP/1.1 200")
    assert "strict-transport-security: max-age=31536000" in answer
    host.s3().put_object(Bucket=host.bucket, Key="downloads/10001.zip", Body=b"a file")
    request = ("-H", "content-type: application/json", "-d", '{"file_ids": [10001]}')
    job = body(curl(host, "/v1/download/initiate", *authority, *request)[1])["jobId"]
    code, answer = curl(host, f"/v1/download/stream/{job}", *authority)
    assert code == 0 and "event: complete" in answer and "strict-transport-security" in answer
    large = '{"file_ids": [' + ",".join(str(id) for id in range(10_000, 11_000)) + "]}"
    code, answer = curl(host, "/v1/download/initiate", *authority, *request[:2], "-d", large)
    assert code == 0 and body(answer)["totalFileIds"] == 1000
    context = ssl.create_default_context(cafile=folder / "certificate.pem")
    with connect(f"wss://127.0.0.1:{host.port}/v1/download/subscribe/{job}", ssl=context) as client:
        assert json.loads(client.recv(timeout=10))["type"] == "status"
    # Nothing but TLS is spoken there, from version 1.2 on.
    assert curl(host, "/health")[0] == 60
    assert subprocess.run(
        ["curl", "-sS", "-m", "10", f"http://127.0.0.1:{host.port}/health"], capture_output=True
    ).returncode != 0
    assert curl(host, "/health", *authority, "--tls-max", "1.1")[0] != 0


def test_a_new_certificate_is_read_at_sighup_and_a_bad_one_is_not_taken(tls):
    host, first, folder = tls
    assert served(host).split() == first.split()
    second = make_certificate(folder, "second")
    host.process.send_signal(signal.SIGHUP)
    wait_until(lambda: served(host).split() == second.split(), 20)
    (folder / "key.pem").write_text("no key")
    host.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the certificate stays as it was" in host.text(), 20)
    assert served(host).split() == second.split()
    assert host.stop() == 0


def test_files_that_do_not_fit_are_refused_at_the_start(make_host, tmp_path):
    make_certificate(tmp_path, "one")
    (tmp_path / "other").mkdir()
    make_certificate(tmp_path / "other", "two")
    for key, reason in [(tmp_path / "other" / "key.pem", "do not belong together"), (tmp_path / "none", "none")]:
        files = {"certificate": str(tmp_path / "certificate.pem"), "key": str(key)}
        host = make_host(config={"http": {"tls": files}}, wait=False)
        assert host.process.wait(60) != 0
        assert reason in host.text() and "http.tls" in host.text()
