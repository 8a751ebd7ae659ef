"""Secrets are planted in every place and looked for in everything that Ferry says."""

import json
import os
import pathlib
import subprocess

import pytest

from conftest import FERRY, ROOT
from support import wait_until
from test_functions import handler, write_function

SECRET = "pl4nted-s3cret-that-must-not-be-seen"
NAMES = {
    "REDIS_URL": f"redis://user:{SECRET}@127.0.0.1:1/0",
    "DATABASE_URL": f"postgresql://user:{SECRET}@127.0.0.1:1/d?connect_timeout=1",
    "S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY": SECRET, "FERRY_STORAGE_SESSION_TOKEN": SECRET,
    "FERRY_JWT_SECRET": SECRET, "FERRY_TICKET_SECRET": SECRET, "FERRY_ADMIN_TOKEN": SECRET,
}


def environment(values):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "REDIS_", "DATABASE_URL"))}
    return {**kept, **values}


def as_files(folder):
    values = {}
    for name, value in NAMES.items():
        if SECRET not in value:
            values[name] = value
            continue
        path = folder / name
        path.write_text(value + "\n")
        path.chmod(0o600)
        values[f"{name}_FILE"] = str(path)
    return values


@pytest.mark.parametrize("verb", [
    ("config", "show"), ("config", "show", "--json"), ("config", "keys"), ("doctor",), ("doctor", "--json"),
    ("validate",), ("describe", "one"), ("list",), ("queue", "list"), ("history", "status"), ("--help",), ("serve", "--help"),
    ("serve",),
], ids="-".join)
@pytest.mark.parametrize("source", ["variables", "files"])
def test_no_command_shows_a_secret(tmp_path, verb, source):
    write_function(tmp_path / "functions", "one", {"http": "GET /one"}, handler('return .text("1")'))
    values = dict(NAMES) if source == "variables" else as_files(tmp_path)
    values |= {"FERRY_LOG_LEVEL": "trace", "FERRY_HISTORY_TIMEOUT": "1s", "FERRY_STORAGE_ENDPOINT": "http://127.0.0.1:1"}
    run = subprocess.run([FERRY, *verb], capture_output=True, text=True, timeout=90, cwd=tmp_path, env=environment(values))
    assert SECRET not in run.stdout + run.stderr
    assert run.stdout + run.stderr
    if verb[:2] == ("config", "show"):
        assert run.returncode == 0 and (run.stdout.count("<redacted>") == 7), run.stdout + run.stderr


@pytest.mark.parametrize("name", [name for name, value in NAMES.items() if SECRET in value])
def test_a_wrong_secret_is_not_shown(tmp_path, name):
    wrong = f"{SECRET} \x01" if "URL" in name or "ADMIN" in name else ""
    values = {name: wrong or SECRET, f"{name}_FILE": "/none"}
    run = subprocess.run([FERRY, "validate", "--functions", ROOT / "functions"], capture_output=True, text=True, timeout=60,
                         cwd=tmp_path, env=environment(values))
    assert run.returncode != 0 and name in run.stdout and SECRET not in run.stdout + run.stderr
    if wrong:
        run = subprocess.run([FERRY, "serve"], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                             env=environment({name: wrong}))
        assert run.returncode != 0 and name in run.stderr and SECRET not in run.stdout + run.stderr


def test_a_host_at_trace_level_shows_none_in_log_health_and_crash(make_host, tmp_path):
    write_function(tmp_path / "functions", "crash", {"http": "GET /crash"}, handler('fatalError("on purpose")'))
    config = {"log": {"level": "trace"}, "identity": {"mode": "jwt"}, "history": {"timeout": "500ms"},
              "limits": {"enabled": False}}
    values = {name: value for name, value in as_files(tmp_path).items()
              if not name.startswith(("REDIS", "DATABASE", "S3_", "FERRY_STORAGE"))}
    host = make_host(functions=tmp_path / "functions", config=config, env=values)
    for token in (SECRET, "x"):
        host.client.get("/crash", headers={"authorization": f"Bearer {token}"})
        host.client.get(f"/none?ticket={token}")
    health = host.client.get("/health")
    assert SECRET not in health.body.decode()
    try:
        host.client.get("/crash")
    except OSError:
        pass
    wait_until(lambda: host.process.poll() is not None, 60, host.text)
    assert SECRET not in host.text() and "/crash" in host.text()
    for path in pathlib.Path(host.data, "log").glob("*"):
        assert SECRET not in path.read_text(errors="replace")


def test_health_tells_that_a_store_is_away_and_not_how_it_is_reached(make_host, tmp_path):
    write_function(tmp_path / "functions", "one", {"http": "GET /one"}, handler('return .text("1")'))
    config = {"storage": {"endpoint": "http://127.0.0.1:1", "accessKeyID": "id", "secretAccessKey": {
        "file": str(tmp_path / "s3")}, "attempts": 1, "timeout": "1s"}, "log": {"level": "trace"}}
    (tmp_path / "s3").write_text(SECRET)
    host = make_host(functions=tmp_path / "functions", config=config, env={
        "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:1"})
    answer = host.client.get("/health")
    assert answer.status == 503 and json.loads(answer.body)["checks"]["redis"] != "ok"
    assert SECRET not in answer.body.decode() and SECRET not in host.text()
    assert "s3 holds the secret storage.secretAccessKey, and every user" in host.text()


def test_functions_in_processes_of_their_own_get_the_same_configuration(make_host, tmp_path):
    write_function(tmp_path / "functions", "one", {"http": "GET /one", "auth": "user"}, handler('return .text("1")'))
    path = tmp_path / "s3"
    path.write_text(SECRET)
    host = make_host(functions=tmp_path / "functions", args=("--isolate",), env={
        "S3_ACCESS_KEY_ID": "id", "S3_SECRET_ACCESS_KEY_FILE": str(path),
        "FERRY_STORAGE_SECRET_ACCESS_KEY_FILE": str(path)})
    assert host.client.get("/one").body == b"1"
    assert SECRET not in host.text()
