"""What hosts keep of their log, and `ferry logs`."""

import json
import signal
import subprocess
import threading

import pytest
from conftest import FERRY
from support import wait_until
from test_functions import handler, write_function

SAY = """
context.logger.info("said", metadata: ["what": "\\(request.queryParameter("what") ?? "")"])
if request.queryParameter("what") == "bad" { context.logger.error("went wrong") }
return .text("ok")
"""


@pytest.fixture
def functions(tmp_path):
    folder = tmp_path / "functions"
    for name in ("say", "other"):
        write_function(folder, name, {"http": f"GET /{name}"}, handler(SAY))
    return folder


def logs(data, *arguments, status=0):
    run = subprocess.run([FERRY, "logs", "--data", data, *arguments], capture_output=True, text=True, timeout=60)
    assert run.returncode == status, run.stdout + run.stderr
    return run.stdout if status == 0 else run.stderr


def entries(data, *arguments):
    return [json.loads(line) for line in logs(data, "--json", *arguments).splitlines()]


def said(found):
    return [entry["what"] for entry in found if entry["message"] == "said"]


class Follower:
    """A `ferry logs -f` with the lines that it has printed."""

    def __init__(self, data, *arguments):
        self.process = subprocess.Popen([FERRY, "logs", "-f", "--json", "--data", data, *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0, self.process.stderr.read()
        self.thread.join(20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def test_shows_what_is_asked_for(make_host, tmp_path, functions):
    host = make_host(functions=functions)
    for function, what, request in (("say", "a", "first"), ("other", "b", "second"), ("say", "bad", "third")):
        assert host.client.get(f"/{function}?what={what}", headers={"x-request-id": request}).status == 200
    wait_until(lambda: said(entries(host.data)) == ["a", "b", "bad"], 20)
    assert said(entries(host.data, "say")) == ["a", "bad"]
    assert {entry["function"] for entry in entries(host.data, "other")} == {"other"}
    second = entries(host.data, "--request", "second")
    assert [entry["message"] for entry in second] == ["said", "request"] and second[1]["status"] == "200"
    assert [entry["message"] for entry in entries(host.data, "say", "--level", "error")] == ["went wrong"]
    assert said(entries(host.data, "--since", "1h")) == ["a", "b", "bad"]
    assert entries(host.data, "--since", "2100-01-01T00:00:00Z") == []
    assert " error went wrong function=say" in logs(host.data, "say")
    assert host.stop() == 0
    assert said(entries(host.data)) == ["a", "b", "bad"]
    assert [path.stat().st_mode & 0o777 for path in (host.data / "log").iterdir()] == [0o600]


def test_the_last_line_of_a_host_is_kept(make_host, functions):
    host = make_host(functions=functions)
    host.client.get("/say?what=last")
    assert host.stop() == 0
    assert said(entries(host.data)) == ["last"]


def test_follows_over_rotations_and_restarts(make_host, functions):
    config = {"log": {"keep": "64KiB", "file": True}}
    host = make_host(functions=functions, config=config)
    expected = [str(number) for number in range(600)]
    with Follower(host.data, "say") as follower:
        def send(*hosts, numbers):
            for number in numbers:
                hosts[number % len(hosts)].client.get(f"/say?what={number}")
                # What is kept is little on purpose; a reader that is further behind than that has lost lines.
                if number % 50 == 49:
                    wait_until(lambda: len(said(follower.lines)) == number + 1, 20, lambda: str(len(follower.lines)))

        send(host, numbers=range(300))
        assert host.stop() == 0
        # Two files, of which none is larger than half of what is kept.
        files = list((host.data / "log").iterdir())
        assert len(files) == 2 and all(file.stat().st_size <= 32 << 10 for file in files)
        host = make_host(functions=functions, config=config)
        send(host, make_host(functions=functions, config=config), numbers=range(300, 600))
        follower.stop()
    assert sorted(said(follower.lines), key=int) == expected
    times = [entry["time"] for entry in entries(host.data)]
    assert times == sorted(times)


def test_old_logs_are_removed(make_host, functions):
    host = make_host(functions=functions)
    folder = host.data / "log"
    assert host.stop() == 0
    for start in range(1, 13):
        (folder / f"{start}-1.jsonl").write_text("")
        (folder / f"{start}-1.1.jsonl").write_text("")
    host = make_host(functions=functions)
    host.client.get("/say?what=x")
    wait_until(lambda: said(entries(host.data)) == ["x"], 20)
    names = {path.name.split("-")[0] for path in folder.iterdir()}
    # Eight that have ended, and the host's.
    assert len(names) == 9 and {str(start) for start in range(6, 13)} <= names


def test_no_file_where_it_is_off(make_host, functions):
    host = make_host(functions=functions, config={"log": {"file": False}})
    host.client.get("/say?what=x")
    assert host.stop() == 0
    assert not (host.data / "log").exists()
    assert "no host has logged into" in logs(host.data, status=1)


@pytest.mark.parametrize("arguments", [["--level", "loud"], ["--since", "yesterday"]])
def test_wrong_arguments_are_usage(tmp_path, arguments):
    assert arguments[0] in logs(tmp_path, *arguments, status=64)
