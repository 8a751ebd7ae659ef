"""`ferry dev`: what is saved is served, no request is lost, and nothing wrong takes the process down."""

import asyncio
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import termios
import time

import pytest
import redis
from conftest import FERRY, SOAK
from dev import Load, rename_over, replace, rewrite, source
from support import wait_until
from test_functions import write_function

SWAPS = 20 if SOAK else 4
CONNECTIONS = 200 if SOAK else 20


def http(path="/answer"):
    return {"http": f"GET {path}"}


@pytest.fixture
def functions(tmp_path):
    folder = tmp_path / "functions"
    folder.mkdir()
    return folder


@pytest.fixture
def dev(make_host, functions):
    """Starts `ferry dev` on the functions and waits until it watches."""

    def start(*args, config=None):
        host = make_host(functions=functions, verb="dev", args=args, config=config)
        wait_until(lambda: "admin on" in host.text(), 60, host.text)
        host.answers = lambda text, path="/answer": wait_until(lambda: body(host, path) == text, 60, host.text)
        host.says = lambda text: wait_until(lambda: text in host.text(), 60, host.text)
        return host

    return start


def body(host, path="/answer"):
    answer = host.client.get(path)
    return answer.body.decode() if answer.status == 200 else answer.status


def test_a_handler_edited_under_load_loses_no_request(functions, dev):
    write_function(functions, "answer", http(), source(1, pause=20))
    host = dev()
    file = functions / "answer" / "Handler.swift"

    async def run():
        async with Load(host.port, "/answer", CONNECTIONS) as load:
            load.newest = 1
            await load.until_seen(1)
            for version in range(2, SWAPS + 2):
                load.newest = version
                [rewrite, replace, rename_over][version % 3](file, source(version, pause=20))
                await load.until_seen(version)
        return load.tally

    tally = asyncio.run(run())
    assert not tally.failures
    assert tally.seen == set(range(1, SWAPS + 2))
    assert tally.answers > CONNECTIONS * SWAPS
    assert host.text().count("reloaded answer") == SWAPS
    mapped = set(re.findall(r"answer-[0-9a-f]+\.so", open(f"/proc/{host.process.pid}/maps").read()))
    assert len(mapped) == SWAPS + 1


def test_a_save_while_compiling_wins(functions, dev):
    write_function(functions, "answer", http(), source(0))
    host = dev()
    for version in range(1, 9):
        rewrite(functions / "answer" / "Handler.swift", source(version))
        time.sleep(0.12)  # saves follow each other faster than a compilation takes
    host.answers("8")
    assert host.text().count("reloaded answer") < 8


def test_a_broken_edit_keeps_the_last_good_version(functions, dev):
    write_function(functions, "answer", http(), source("good"))
    host = dev()
    host.answers("good")
    file = functions / "answer" / "Handler.swift"
    rewrite(file, source("good").replace('.text("good")', ".text(nothing)"))
    host.says("failed answer; its last good version goes on")
    host.says("Handler.swift:6:22: cannot find 'nothing' in scope")
    lines = host.text().splitlines()
    place = next(index for index, line in enumerate(lines) if "cannot find 'nothing'" in line)
    assert lines[place + 1].endswith("return .text(nothing)") and lines[place + 2].strip().startswith("^")
    assert body(host) == "good"
    rewrite(file, source("mended"))
    host.answers("mended")
    host.says("mended answer")


def test_strict_reload_answers_with_the_error(functions, dev):
    write_function(functions, "answer", http(), source("good"))
    write_function(functions, "other", http("/other"), source("other"))
    host = dev("--strict-reload")
    host.answers("good")
    file = functions / "answer" / "Handler.swift"
    rewrite(file, source("good").replace('.text("good")', ".text(nothing)"))
    wait_until(lambda: body(host) == 500, 60, host.text)
    error = host.client.get("/answer").json()
    assert error["code"] == "reload_failed" and "Handler.swift:6:22" in error["message"]
    assert body(host, "/other") == "other"
    rewrite(file, source("mended"))
    host.answers("mended")


def test_folders_come_go_and_are_renamed(functions, dev, tmp_path):
    write_function(functions, "answer", http(), source("here"))
    host = dev()
    write_function(functions, "second", http("/second"), source("two"))
    host.answers("two", "/second")
    os.rename(functions / "second", functions / "third")
    host.says("added third")
    host.answers("two", "/second")
    shutil.rmtree(functions / "third")
    wait_until(lambda: body(host, "/second") == 404, 60, host.text)
    # The whole folder is replaced.
    os.rename(functions, tmp_path / "away")
    functions.mkdir()
    write_function(functions, "answer", http(), source("anew"))
    host.answers("anew")
    rewrite(functions / "answer" / "Handler.swift", source("again"))
    host.answers("again")


def test_an_edited_manifest_is_reloaded_or_refused(functions, dev):
    write_function(functions, "answer", http(), source("a"))
    write_function(functions, "other", http("/other"), source("b"))
    host = dev()
    manifest = functions / "answer" / "function.json"
    manifest.write_text(json.dumps(http("/moved")))
    host.answers("a", "/moved")
    assert body(host) == 404
    manifest.write_text('{"http": "GET /moved", "timeuot": "1s"}')
    host.says("timeuot")
    assert body(host, "/moved") == "a"
    manifest.write_text(json.dumps(http("/other")))
    host.says("is still that of other")
    assert (body(host, "/moved"), body(host, "/other")) == ("a", "b")
    manifest.write_text(json.dumps(http("/health")))
    host.says("is already that of the host")
    assert body(host, "/moved") == "a"
    manifest.write_text(json.dumps(http()))
    host.answers("a")
    assert host.client.get("/health/liveness").status == 200


def test_an_edited_configuration_is_applied_named_or_refused(functions, dev):
    write_function(functions, "answer", http(), source("a"))
    host = dev()

    def configure(**sections):
        host.config_path.write_text(json.dumps({**host.settings, **sections}))

    def allowed():
        return host.client.get("/answer", headers={"origin": "https://app.example"}).headers[
            "access-control-allow-origin"
        ]

    assert allowed() is None
    configure(cors={"origins": ["https://app.example"]}, http={"backlog": 7})
    wait_until(lambda: allowed() == "https://app.example", 30, host.text)
    host.says("configuration: cors.origins applied")
    host.says("restart needed for http.backlog")
    configure(cors={"origin": []}, log={"level": "loud"})
    host.says("configuration refused")
    host.says("log.level must be one of")
    host.config_path.write_text("{")
    host.says("not JSON")
    assert allowed() == "https://app.example"
    configure(http={"maxHeaderBytes": "1KiB"})
    host.says("http.maxHeaderBytes")
    wait_until(lambda: host.client.get("/answer", headers={"x-long": "y" * 2000}).status == 431, 30, host.text)
    assert body(host) == "a"


JOB = """import FunctionKit
import Glibc

struct Work: QueueFunction {
    struct Payload: Decodable { let gate: String }

    func process(_ job: QueueJob<Payload>, _ context: Context) async throws -> String {
        while access(job.payload.gate, F_OK) != 0 { try await Task.sleep(for: .milliseconds(10)) }
        return "VERSION"
    }
}
"""


def test_a_running_job_ends_on_the_old_code_and_the_next_runs_the_new(functions, dev, tmp_path):
    write_function(functions, "work", {"queue": "work", "on": "process", "concurrency": 1}, JOB.replace("VERSION", "old"))
    write_function(functions, "answer", http(), source("a"))
    host = dev()
    server = redis.Redis(unix_socket_path=str(host.data / "redis" / "redis.sock"), decode_responses=True)

    def add(name):
        data = json.dumps({"gate": str(tmp_path / name)})
        command = [FERRY, "queue", "add", "work", "--id", name, "-d", data, "--data", str(host.data)]
        subprocess.run(command + ["--config", str(host.config_path)], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)

    def result(name):
        return server.hget(f"bull:work:{name}", "returnvalue")

    add("one")
    wait_until(lambda: server.lrange("bull:work:active", 0, -1) == ["one"], 30, host.text)
    rewrite(functions / "work" / "Handler.swift", JOB.replace("VERSION", "new"))
    host.says("reloaded work")
    add("two")
    (tmp_path / "two").touch()
    # The place is the function's: the old version holds it.
    time.sleep(0.3)
    assert (result("one"), result("two")) == (None, None)
    (tmp_path / "one").touch()
    wait_until(lambda: result("two") == '"new"', 30, host.text)
    assert result("one") == '"old"'
    assert server.hget("bull:work:one", "atm") == "1"
    # Removed: nothing is fetched any more.
    shutil.rmtree(functions / "work")
    host.says("removed work")
    (tmp_path / "three").touch()
    add("three")
    time.sleep(0.3)
    assert result("three") is None
    assert re.search(r"\none  work  completed  wait .* run .* (cold|warm)", host.text()), host.text()


STREAM = """import FunctionKit

struct Count: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        while true {
            try await events.send(ServerSentEvent("VERSION"))
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
"""


def test_a_stream_lives_on_over_a_swap(functions, dev):
    write_function(functions, "count", {"sse": "/count"}, STREAM.replace("VERSION", "old"))
    host = dev()
    command = ["curl", "-sN", "--max-time", "60", host.url + "/count"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as old:
        wait_until(lambda: "data: old" in old.stdout.readline(), 30)
        rewrite(functions / "count" / "Handler.swift", STREAM.replace("VERSION", "new"))
        host.says("reloaded count")
        end = time.monotonic() + 0.3
        lines = []
        while time.monotonic() < end:
            lines.append(old.stdout.readline())
        assert lines.count("data: old\n") > 5 and "data: new\n" not in lines
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as new:
            wait_until(lambda: "data: new" in new.stdout.readline(), 30)
            new.kill()
        old.kill()
    host.says("GET /count  200")


def test_memory_grows_by_the_modules_only(functions, dev):
    write_function(functions, "answer", http(), source(0))
    host = dev()

    def resident():
        text = open(f"/proc/{host.process.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def swap(versions):
        for version in versions:
            rewrite(functions / "answer" / "Handler.swift", source(version))
            host.answers(str(version))

    swap(range(1, 5))
    before = resident()
    count = 60 if SOAK else 8
    swap(range(5, 5 + count))
    assert (resident() - before) / count < 400, "KB a swap"


class PseudoTerminal:
    """`ferry dev` on a terminal of its own."""

    def __init__(self, folder, functions):
        self.main, self.other = pty.openpty()
        self.before = termios.tcgetattr(self.other)
        (folder / "config.json").write_text('{"storage": {"port": 0}}')
        command = [FERRY, "dev", "--functions", str(functions), "--data", str(folder / "data")]
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command, "--listen", "127.0.0.1:0"], cwd=folder, stdin=self.other, stdout=self.other,
            stderr=self.other,
        )
        self.text = ""

    def until(self, text, timeout=60):
        end = time.monotonic() + timeout
        start = len(self.text)
        while text not in self.text[start:]:
            assert time.monotonic() < end, f"no {text!r} in {self.text}"
            if select.select([self.main], [], [], 0.1)[0]:
                self.text += os.read(self.main, 65536).decode(errors="replace")

    def type(self, text):
        os.write(self.main, text.encode())

    def is_raw(self):
        return not termios.tcgetattr(self.other)[3] & termios.ICANON

    def end(self):
        end = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < end
            if select.select([self.main], [], [], 0.05)[0]:
                self.text += os.read(self.main, 65536).decode(errors="replace")
        return self.process.returncode


@pytest.mark.parametrize("how", ["q", "interrupt", signal.SIGTERM, signal.SIGQUIT, signal.SIGSEGV])
def test_keys_are_read_and_the_terminal_is_given_back(functions, tmp_path, make_host, how):
    write_function(functions, "answer", http(), source("a"))
    terminal = PseudoTerminal(tmp_path, functions)
    try:
        terminal.until("admin on")
        wait_until(terminal.is_raw, 30)
        if how == "q":
            assert "\x1b]8;;http://127.0.0.1:" in terminal.text
            terminal.type("l")
            terminal.until("/answer")
            terminal.type("r")
            terminal.until("nothing has changed")
            terminal.type("?")
            terminal.until("r reload all, l list, q quit")
            terminal.type("q")
        elif how == "interrupt":
            terminal.type("\x03")
        else:
            terminal.process.send_signal(how)
        code = terminal.end()
        assert (code == 0) == (how in ("q", "interrupt", signal.SIGTERM)), terminal.text
        assert termios.tcgetattr(terminal.other) == terminal.before
    finally:
        if terminal.process.poll() is None:
            terminal.process.kill()
            terminal.process.wait(10)
        os.close(terminal.main)
        os.close(terminal.other)
