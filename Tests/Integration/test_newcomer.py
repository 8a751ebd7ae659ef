"""The newcomer's path: an installed Ferry, an empty folder, and nothing but what the documentation names."""

import http.client
import os
import re
import signal
import subprocess

import pytest
from conftest import FERRY, ROOT, stop_private_redis
from support import wait_until


@pytest.fixture
def installed(tmp_path):
    """A prefix with what `make install` copies, and an environment in which nothing else is found first."""
    prefix = tmp_path / "prefix"
    command = ["make", "-s", "install-files", f"PREFIX={prefix}", f"FERRY={FERRY}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("FERRY", "AWS_", "S3_", "REDIS_")) and name != "PORT"}
    return {**kept, "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}


def test_from_an_empty_folder_to_an_answer(tmp_path, installed):
    home = tmp_path / "home"
    home.mkdir()

    def ferry(*arguments, status=0):
        run = subprocess.run(["ferry", *arguments], cwd=home, env=installed, capture_output=True, text=True, timeout=300)
        assert run.returncode == status, run.stdout + run.stderr
        return run.stdout + run.stderr

    # A function, as `ferry new` makes it, passes the test that came with it.
    made = ferry("new", "hello", "--http", "GET /hello/:name")
    commands = re.findall(r"^  ferry (\w+)", made, re.M)
    assert commands == ["validate", "test", "dev"], made
    assert "1 function, no problems" in ferry("validate")
    assert "1 passed, 0 failed" in ferry("test", "hello")

    # An edit is noticed by its test; with the fixture edited too it passes.
    source = home / "functions" / "hello" / "HelloHandler.swift"
    fixture = home / "functions" / "hello" / "fixtures" / "hello.json"
    edited = source.read_text().replace('"hello name=', '"Good day, ')
    assert edited != source.read_text()
    source.write_text(edited)
    failed = ferry("test", status=1)
    assert "FAIL  hello/hello" in failed and 'got      "Good day, name\\n"' in failed, failed
    fixture.write_text(fixture.read_text().replace('"hello name=name', '"Good day, name'))
    assert "1 passed, 0 failed" in ferry("test")
    source.write_text(edited.replace(".text(", ".txet("))
    assert "HelloHandler.swift:6" in ferry("test", status=1)
    source.write_text(edited)

    # Served, it answers a client of another make, and is called by hand.
    config = home / "config.json"
    config.write_text('{ "storage": { "port": 0 } }')
    log = open(tmp_path / "log", "w+")
    host = subprocess.Popen(
        ["ferry", "serve", "--only", "hello", "--listen", "127.0.0.1:0"], cwd=home, env=installed, stdout=log,
        stderr=subprocess.STDOUT)
    try:
        def port():
            assert host.poll() is None, (tmp_path / "log").read_text()
            return re.search(r"listening on http://127\.0\.0\.1:(\d+)", (tmp_path / "log").read_text())

        client = http.client.HTTPConnection("127.0.0.1", int(wait_until(port, 120).group(1)), timeout=30)
        client.request("GET", "/hello/Ada%20L")
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"Good day, Ada L\n")
        client.close()
        assert "Good day, name" in ferry("invoke", "hello")
        assert "Good day, Bob" in ferry("invoke", "hello", "-d", '{"parameters":{"name":"Bob"}}')
        assert "1 passed, 0 failed" in ferry("test", "--target", "local")
        assert str(ROOT) not in open(f"/proc/{host.pid}/maps").read()
    finally:
        if host.poll() is None:
            host.send_signal(signal.SIGTERM)
        assert host.wait(60) == 0, (tmp_path / "log").read_text()
        log.close()
        stop_private_redis(tmp_path)
