"""`ferry serve --isolate`: each function in processes of its own, from none to several and back, and what one's end does."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest
from conftest import ROOT, SOAK, Host, stop_private_redis
from support import wait_until
from test_functions import handler, write_function
from wsclient import CLOSE, TEXT, Frames, frame

LEAK = """import FunctionKit
import Glibc
import Synchronization

let held = Mutex<[CInt]>([])

struct Leak: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let count = request.queryParameter("files").flatMap(Int.init) ?? 0
        for _ in 0..<count {
            let descriptor = open("/dev/null", O_RDONLY)
            guard descriptor >= 0 else { throw HTTPError(.tooManyRequests, message: "no file is left") }
            held.withLock { $0.append(descriptor) }
        }
        return .text("\\(getpid())")
    }
}
"""
ERRORS = """import FunctionKit

struct Errors: HTTPFunction {
    struct Odd: Error {}

    func handle(_ request: Request, _ context: Context) async throws -> Response {
        switch request.parameter("kind") {
        case "http":
            throw HTTPError(
                .conflict, code: "odd_thing", message: "It is odd.", details: [.init(field: "a[0]", problem: "is odd")],
                headers: [.retryAfter: "7"])
        case "echo":
            var fields: HTTPFields = [.contentType: "application/octet-stream", .eTag: "\\"e\\""]
            fields[.setCookie] = request.headers[.cookie]
            return Response(.accepted, headers: fields, body: request.body)
        case "big": return Response(body: ByteBuffer(repeating: 0x61, count: 30 << 20))
        default: throw Odd()
        }
    }
}
"""
FLOOD = """import FunctionKit

struct Flood: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        let padding = String(repeating: "x", count: 1000)
        for number in 1...1_000_000 {
            if number % 100 == 0 { context.logger.notice("sent", metadata: ["number": "\\(number)"]) }
            try await events.send(ServerSentEvent(padding, id: "\\(number)"))
        }
    }
}
"""
GONE = """import FunctionKit

struct Gone: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        context.logger.notice("waiting")
        do { try await Task.sleep(for: .seconds(60)) } catch {
            context.logger.notice("cancelled at last")
            throw error
        }
        return .text("late")
    }
}
"""
JOB = """import FunctionKit

struct Work: QueueFunction {
    struct Given: Codable, Sendable { let number: Int }

    func process(_ job: QueueJob<Given>, _ context: Context) async throws -> Given {
        try await context.progress(["half": true])
        if job.payload.number < 0 { throw Permanent("below zero", class: .validation) }
        return Given(number: job.payload.number * 2)
    }
}
"""


def write_all(folder):
    write_function(folder, "good", {"http": "GET /good"}, handler('.text("good \\(getpid())")'))
    write_function(folder, "fatal", {"http": "GET /fatal/:how", "timeout": "20s"}, handler(
        'if request.parameter("how") == "now" { fatalError("on purpose") }\n'
        '        try await Task.sleep(for: .seconds(2)); return .text("\\(getpid())")'))
    for executor in ("pool", "loop"):
        write_function(
            folder, f"endless-{executor}", {"http": f"GET /endless-{executor}/:how", "timeout": "1s", "executor": executor},
            handler('while request.parameter("how") == "on" {}\n        return .text("\\(getpid())")', "Endless"))
    write_function(folder, "leak", {"http": "GET /leak"}, LEAK)
    write_function(folder, "errors", {"http": "POST /errors/:kind", "maxBody": "8MiB"}, ERRORS)
    write_function(folder, "flood", {"sse": "/flood"}, FLOOD)
    write_function(folder, "gone", {"http": "GET /gone"}, GONE)
    write_function(folder, "work", {"queue": "work", "on": "process"}, JOB)
    write_function(
        folder, "crowd", {"http": "GET /crowd", "concurrency": 20, "queueLimit": 500},
        handler('try await Task.sleep(for: .milliseconds(50)); return .text("\\(getpid())")', "Crowd"))
    for name in ("echo", "ticker"):
        for file in (ROOT / "Tests" / "Fixtures" / "functions" / name).iterdir():
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / file.name).write_bytes(file.read_bytes())


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isolated-functions")
    write_all(folder)
    return folder


@pytest.fixture(scope="module")
def isolated(tmp_path_factory, functions):
    folder = tmp_path_factory.mktemp("isolated")
    host = Host(folder, functions=functions, args=("--isolate",), config={"isolation": {"idleTime": "2s"}})
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    assert children(host) == []
    stop_private_redis(folder)


def children(host, name=None):
    """The processes of functions of this host."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "serve-function" in words and str(host.data) in words and (name is None or name in words):
            found.append(int(entry.name))
    return found


def admin(host, method="GET", path="/admin/functions", body=None):
    connection = http.client.HTTPConnection("localhost", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(host.data / "admin.sock"))
    token = (host.data / "admin.token").read_text().strip()
    connection.request(method, path, body=body and json.dumps(body), headers={"authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    return json.loads(answer.read())


class Watched:
    """A function whose answers are watched all the while: each must be right, and none slow."""

    def __init__(self, host, slowest=2.0):
        self.host, self.slowest, self.stopped, self.failures, self.count = host, slowest, False, [], 0
        host.client.get("/good")
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.stopped:
            start = time.monotonic()
            try:
                answer = self.host.client.get("/good", timeout=20)
                if answer.status != 200 or not answer.body.startswith(b"good "):
                    self.failures.append((answer.status, answer.body))
            except OSError as error:
                self.failures.append(error)
            if time.monotonic() - start > self.slowest:
                self.failures.append(f"{time.monotonic() - start:.1f} s")
            self.count += 1
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stopped = True
        self.thread.join(30)
        if kind is None:
            assert self.failures == [] and self.count > 5, (self.failures[:5], self.count)


def test_nothing_runs_before_a_request_and_after_the_idle_time(isolated):
    wait_until(lambda: not children(isolated, "good"), 20)
    answer = isolated.client.get("/good")
    assert answer.status == 200
    cold = re.fullmatch(r"cold;dur=(\d+\.\d)", answer.headers["server-timing"])
    assert 1 < float(cold[1]) < 10_000
    assert children(isolated, "good") == [int(answer.body.split()[1])] != [isolated.process.pid]
    again = isolated.client.get("/good")
    assert again.body == answer.body and again.headers["server-timing"] is None
    lines = [line for line in isolated.text().splitlines() if " request " in line and "path=/good" in line]
    assert f"cold_ms={cold[1]}" in lines[-2] and "cold_ms" not in lines[-1]
    wait_until(lambda: not children(isolated, "good"), 20)


def test_starts_and_stops_leave_nothing_behind(make_host, functions):
    host = make_host(functions=functions, args=("--isolate", "--only", "good"), config={"isolation": {"idleTime": "100ms"}})

    def cycle():
        assert host.client.get("/good").status == 200
        wait_until(lambda: not children(host), 20)
        return len(os.listdir(f"/proc/{host.process.pid}/fd")), len(os.listdir(f"/proc/{host.process.pid}/task"))

    # What serves besides, such as the reconciler, opens its connections in the first seconds.
    begun = time.monotonic()
    while True:
        first = cycle()
        if time.monotonic() > begun + 6:
            break
    for _ in range(100 if SOAK else 10):
        last = cycle()
    assert last[0] <= first[0] + 3 and last[1] <= first[1] + 2, (first, last)


def test_a_fatal_error_ends_its_own_process_only(isolated):
    with Watched(isolated), concurrent.futures.ThreadPoolExecutor(4) as threads:
        first = isolated.client.get("/fatal/later")
        waiting = [threads.submit(isolated.client.get, "/fatal/later", headers={"x-request-id": f"wait-{i}"}) for i in range(3)]
        pid = int(first.body)
        wait_until(lambda: any(f["name"] == "fatal" and f["running"] == 3 for f in admin(isolated)["functions"]))
        crashed = isolated.client.get("/fatal/now", headers={"x-request-id": "the-crash"})
        assert crashed.status == 502 and crashed.json()["code"] == "function_crashed"
        assert crashed.json()["requestId"] == "the-crash"
        for number, future in enumerate(waiting):
            answer = future.result()
            assert answer.status == 502 and answer.json()["requestId"] == f"wait-{number}"
        back = isolated.client.get("/fatal/later")
        assert back.status == 200 and int(back.body) != pid and back.headers["server-timing"]
    assert re.search(rf"a function's process has crashed .*child={pid} .*function=fatal", isolated.text())


def test_a_crash_at_every_request_backs_off_and_is_never_given_up_on(isolated):
    with Watched(isolated):
        seen = []
        while 503 not in seen:
            assert len(seen) < 20
            answer = isolated.client.get("/fatal/now")
            seen.append(answer.status)
        assert set(seen[:-1]) == {502} and int(answer.headers["retry-after"]) >= 1
        assert answer.json()["code"] == "function_unavailable"
        wait_until(lambda: isolated.client.get("/fatal/later").status == 200, 60)


def in_flight(host, name):
    found = [function for function in admin(host)["functions"] if function["name"] == name]
    return sum(process["inFlight"] for process in found[0]["processes"])


def test_a_call_that_its_process_had_not_begun_is_given_to_another(isolated):
    pid = int(isolated.client.get("/good").body.split()[1])
    os.kill(pid, signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(isolated.client.get, "/good") for _ in range(5)]
        wait_until(lambda: in_flight(isolated, "good") == 5, 20)
        os.kill(pid, signal.SIGKILL)
        answers = [future.result() for future in waiting]
    assert [answer.status for answer in answers] == [200] * 5
    assert all(int(answer.body.split()[1]) != pid for answer in answers)


def test_a_process_that_somebody_else_ends_drains_and_is_replaced(isolated):
    pid = int(isolated.client.get("/fatal/later").body)
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(isolated.client.get, "/fatal/later")
        wait_until(lambda: in_flight(isolated, "fatal") == 1, 20)
        time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: any(p["state"] == "ending" for f in admin(isolated)["functions"] for p in f["processes"]), 20)
        assert int(isolated.client.get("/fatal/later").body) != pid
        assert int(waiting.result().body) == pid
    wait_until(lambda: pid not in children(isolated), 20)


@pytest.mark.parametrize("executor", ["pool", "loop"])
def test_an_endless_loop_is_killed_and_replaced(isolated, executor):
    path = f"/endless-{executor}"
    pid = int(isolated.client.get(f"{path}/off").body)
    with Watched(isolated):
        start = time.monotonic()
        answer = isolated.client.get(f"{path}/on")
        assert answer.status == 504 and time.monotonic() - start < 5
        wait_until(lambda: pid not in children(isolated), 20, isolated.text)
        after = isolated.client.get(f"{path}/off")
        assert after.status == 200 and int(after.body) != pid
    assert re.search(rf"a function's process was killed .*child={pid} ", isolated.text())


def test_leaked_files_are_the_functions_own(isolated):
    with Watched(isolated):
        pid = isolated.client.get("/leak?files=3000").body
        answer = isolated.client.get("/leak?files=3000")
        assert answer.status == 429
        assert isolated.client.get("/leak").body == pid
    assert len(os.listdir(f"/proc/{isolated.process.pid}/fd")) < 500


def test_answers_and_errors_are_those_of_one_process(isolated):
    answer = isolated.client.post("/errors/http")
    assert answer.status == 409 and answer.headers["retry-after"] == "7"
    assert answer.json()["code"] == "odd_thing" and answer.json()["details"] == [{"field": "a[0]", "problem": "is odd"}]
    answer = isolated.client.post("/errors/odd")
    assert answer.status == 500 and "Odd" not in answer.body.decode()
    assert re.search(r"a handler failed .*error=Odd\(\)", isolated.text())
    body = os.urandom(7 << 20)
    answer = isolated.client.post("/errors/echo", body, headers={"cookie": "a=b"})
    assert answer.status == 202 and answer.body == body
    assert answer.headers["set-cookie"] == "a=b" and answer.headers["etag"] == '"e"'
    assert isolated.client.post("/errors/echo", b"x" * (9 << 20)).status == 413
    assert len(isolated.client.post("/errors/big").body) == 30 << 20


def test_two_hundred_first_requests_start_no_more_processes_than_the_limit(make_host, functions):
    host = make_host(functions=functions, args=("--isolate", "--only", "crowd"), config={"isolation": {"maxProcesses": 3}})
    assert children(host) == []
    with concurrent.futures.ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(lambda _: host.client.get("/crowd"), range(200)))
    assert [answer.status for answer in answers] == [200] * 200
    pids = {int(answer.body) for answer in answers}
    assert len(pids) == 3 and pids == set(children(host))
    assert answers[0].headers["server-timing"]
    found = admin(host)["functions"][0]["processes"]
    assert {process["pid"] for process in found} == pids
    assert all(process["state"] == "running" and process["inFlight"] == 0 and process["coldMs"] > 0 for process in found)


def test_none_outlives_a_supervisor_that_is_killed(make_host, functions):
    host = make_host(functions=functions, args=("--isolate", "--only", "good,endless-loop,crowd"))
    for path in ("/good", "/crowd", "/endless-loop/off"):
        assert host.client.get(path).status == 200
    threading.Thread(target=lambda: swallow(host.client.get, "/endless-loop/on"), daemon=True).start()
    assert len(children(host)) == 3
    host.kill()
    wait_until(lambda: children(host) == [], 10)


def swallow(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        pass


def read_two_ticks(stream):
    """Asks for a long stream and reads until its second event has come."""
    stream.sendall(b"GET /ticks/1000?every=100 HTTP/1.1\r\nhost: x\r\n\r\n")
    data = b""
    while b"id: 2\n" not in data:
        data += stream.recv(65536)
    return data


def test_sigterm_drains_a_request_a_stream_and_a_socket(make_host, functions):
    host = make_host(functions=functions, args=("--isolate", "--only", "fatal,ticker,echo"))
    host.client.get("/fatal/later")
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with Frames(host.port) as echo, socket.create_connection(("127.0.0.1", host.port), timeout=20) as stream:
            echo.send(frame(TEXT, b"hello"))
            echo.expect((TEXT, b"hello"))
            data = read_two_ticks(stream)
            request = threads.submit(host.client.get, "/fatal/later")
            wait_until(lambda: any(f["name"] == "fatal" and f["running"] for f in admin(host)["functions"]))
            host.process.send_signal(signal.SIGTERM)
            opcode, _, payload = echo.receive()
            assert (opcode, payload[:2]) == (CLOSE, (1012).to_bytes(2, "big"))
            echo.send(frame(CLOSE, payload[:2]))
            while chunk := stream.recv(65536):
                data += chunk
            assert data.endswith(b"\r\n0\r\n\r\n") and b"retry: " in data
            assert request.result().status == 200
    assert host.process.wait(30) == 0
    assert children(host) == []
    assert "killed" not in host.text()


def test_a_client_that_leaves_cancels_its_handler(isolated):
    with socket.create_connection(("127.0.0.1", isolated.port)) as client:
        client.sendall(b"GET /gone HTTP/1.1\r\nhost: x\r\nx-request-id: leaver\r\n\r\n")
        wait_until(lambda: "waiting" in isolated.text(), 20)
    wait_until(lambda: re.search(r"cancelled at last .*request_id=leaver", isolated.text()), 20, isolated.text)


def test_a_slow_client_makes_the_handler_wait(isolated):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", isolated.port))
        client.sendall(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200 OK" in client.recv(1000)

        def sent():
            numbers = re.findall(r" sent .*number=(\d+)", isolated.text())
            return int(numbers[-1]) if numbers else 0

        before = -1
        while before != sent():
            before = sent()
            time.sleep(0.5)
        # What the kernel's buffers hold and the window, in events of a kilobyte.
        assert before < 5000
        for _ in range(100):
            client.recv(65536)
        wait_until(lambda: sent() > before, 20)


@pytest.mark.parametrize("size", [0, 1, 125, 65_536, 3 << 20])
def test_sockets_echo(isolated, size):
    with Frames(isolated.port) as echo:
        payload = os.urandom(size)
        for _ in range(3):
            echo.send(frame(2, payload))
            echo.expect((2, payload))
        echo.finish()


def test_a_crowd_of_messages_keeps_its_order(isolated):
    with Frames(isolated.port) as echo:
        count = 2000
        sender = threading.Thread(target=lambda: [echo.send(frame(TEXT, b"%d" % i)) for i in range(count)])
        sender.start()
        for number in range(count):
            echo.expect((TEXT, b"%d" % number))
        sender.join()
        echo.finish()


def test_a_crash_closes_the_sockets_and_streams_of_its_process(make_host, functions):
    host = make_host(functions=functions, args=("--isolate", "--only", "ticker,echo"))
    with Frames(host.port) as echo, socket.create_connection(("127.0.0.1", host.port), timeout=20) as stream:
        echo.send(frame(TEXT, b"hello"))
        echo.expect((TEXT, b"hello"))
        data = read_two_ticks(stream)
        for pid in children(host):
            os.kill(pid, signal.SIGKILL)
        opcode, _, payload = echo.receive()
        assert opcode == CLOSE and payload[:2] == (1011).to_bytes(2, "big")
        while chunk := stream.recv(65536):
            data += chunk
        assert not data.endswith(b"\r\n0\r\n\r\n")
    with Frames(host.port) as echo:
        echo.send(frame(TEXT, b"again"))
        echo.expect((TEXT, b"again"))


def test_a_function_is_called_by_hand_in_its_process(isolated):
    answer = admin(isolated, "POST", "/admin/functions/work", {"data": {"number": 21}})
    assert answer == {"outcome": "completed", "returnValue": {"number": 42}, "progress": [{"half": True}]}
    answer = admin(isolated, "POST", "/admin/functions/work", {"data": {"number": -1}})
    assert (answer["outcome"], answer["reason"], answer["class"]) == ("failed", "below zero", "validation_error")
    answer = admin(isolated, "POST", "/admin/functions/ticker", {"parameters": {"count": "3"}})
    assert [event["id"] for event in answer["events"]] == ["1", "2", "3"]
    assert children(isolated, "work")
