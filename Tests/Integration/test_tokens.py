"""Tokens in what calls a host: the commands, and the console's page."""

import json
import pathlib
import shutil
import subprocess
import urllib.parse

import pytest

from conftest import FERRY, Host, stop_private_redis
from identities import Key, KeyServer, bearer
from support import wait_until


@pytest.fixture(scope="module")
def key():
    return Key("k")


@pytest.fixture(scope="module")
def server(key, tmp_path_factory):
    key_server = KeyServer(key)
    folder = tmp_path_factory.mktemp("tokens")
    host = Host(folder, config={"identity": key_server.config(), "limits": {"enabled": False}})
    host.s3().put_object(Bucket=host.bucket, Key="downloads/10001.zip", Body=b"a file")
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    stop_private_redis(folder)
    key_server.stop()


def ferry(*arguments, folder=None, env=None):
    return subprocess.run(
        [FERRY, *arguments], capture_output=True, text=True, timeout=60, cwd=folder, env={"PATH": "/usr/bin", **(env or {})})


def ready_job(server, headers):
    job = server.client.post("/v1/download/initiate", {"file_ids": [10_001]}, headers=headers).json()["jobId"]
    wait_until(
        lambda: server.client.get(f"/v1/download/job/{job}", headers=headers).json()["status"] == "ready", 30)
    return job


@pytest.mark.parametrize("way", ["option", "file", "environment"])
def test_a_download_and_its_watch_are_made_as_the_tokens_user(server, key, tmp_path, way):
    token = key.token()
    path = tmp_path / "token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    options, env = {
        "option": (("--token", token), {}), "file": (("--token-file", str(path)), {}),
        "environment": ((), {"FERRY_TOKEN": token}),
    }[way]
    run = ferry("download", "10001", "--url", server.url, "-o", "a.zip", *options, folder=tmp_path, env=env)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "a.zip").read_bytes()[:2] == b"PK"
    job = run.stderr.split()[1]
    for transport in ("websocket", "sse", "polling", "auto"):
        watched = ferry("watch", job, "--url", server.url, "--transport", transport, *options, env=env)
        assert watched.returncode == 0, (transport, watched.stderr)
        assert token not in watched.stdout + watched.stderr
    assert token not in run.stdout + run.stderr + server.text()


def test_without_a_token_or_with_anothers_there_is_nothing_to_see(server, key, tmp_path):
    job = ready_job(server, bearer(key.token()))
    for transport in ("websocket", "sse", "polling", "auto"):
        run = ferry("watch", job, "--url", server.url, "--transport", transport)
        assert run.returncode == 1 and "answered 401" in run.stderr and "--token-file" in run.stderr
        assert "does not work here" not in run.stderr
        run = ferry("watch", job, "--url", server.url, "--transport", transport, env={"FERRY_TOKEN": key.token("bob")})
        assert run.returncode == 1 and "no such job" in run.stderr
    run = ferry("download", "10001", "--url", server.url, folder=tmp_path)
    assert run.returncode == 1 and "401" in run.stderr and "FERRY_TOKEN" in run.stderr


def test_what_is_no_token_is_refused_unseen(server, tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"planted secret\r\nx-user-id: root\n")
    for options, env, reason in (
        (("--token-file", path), {}, "is no token"), ((), {"FERRY_TOKEN": "planted secret"}, "FERRY_TOKEN is no token"),
        (("--token-file", tmp_path / "none"), {}, "No such file"),
    ):
        run = ferry("watch", "x", "--url", server.url, *options, env=env)
        assert run.returncode == 1 and reason in run.stderr and "planted" not in run.stderr
    assert ferry("watch", "x", "--token", "a", "--token-file", path).returncode == 64


def test_a_function_is_invoked_with_a_token_from_a_file(make_host, tmp_path):
    host = make_host(config={"admin": {"listen": "127.0.0.1:0", "token": "an-admin-token-of-a-test"}})
    target = wait_until(lambda: [line.split()[2] for line in host.text().splitlines() if line.startswith("admin on ")])[0]
    path = tmp_path / "admin"
    path.write_text("an-admin-token-of-a-test\n")
    for options, env in ((("--token-file", path), {}), ((), {"FERRY_TOKEN": "an-admin-token-of-a-test"})):
        run = ferry("invoke", "console", "-d", "{}", "--target", target, *options, env=env)
        assert run.returncode == 0 and "version" in run.stdout, run.stderr
    assert ferry("invoke", "console", "-d", "{}", "--target", target).returncode == 1


@pytest.mark.skipif(shutil.which("node") is None, reason="the page's script needs node")
def test_the_console_asks_for_a_token_and_uses_it_everywhere(server, key):
    token = key.token()
    headers = bearer(token)
    # Nobody works its queue's jobs fast enough to be sure; a job that cannot end stays open.
    server.client.post("/v1/download/initiate", {"file_ids": [10_001]}, headers=headers)
    ids = list(range(20_000, 21_000))
    job = server.client.post("/v1/download/initiate", {"file_ids": ids}, headers=headers).json()["jobId"]
    script = pathlib.Path(__file__).parent / "console.js"
    run = subprocess.run(["node", script, server.url, token, job], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    first, *rest = seen["sent"]
    assert first == [f"/v1/download/job/{job}", None] and seen["stored"] == token and seen["field"] == ""
    assert all(authorization == f"Bearer {token}" for _, authorization in rest)
    assert token not in "".join(seen["opened"])
    for way in seen["opened"]:
        parts = urllib.parse.urlsplit(way)
        assert urllib.parse.parse_qs(parts.query)["ticket"][0]
        assert server.client.get(f"/v1/download/stream/{job}?{parts.query}").status in (200, 204)
