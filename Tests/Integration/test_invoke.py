"""Functions called by hand: the admin listener, and `ferry invoke` in front of it."""

import http.client
import json
import re
import socket
import stat
import subprocess
import threading

import pytest
from conftest import FERRY, Host, stop_private_redis
from support import Client, wait_until

SOURCES = {
    "hello": (
        {"http": "POST /hello/:name"},
        """struct Hello: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        if request.parameter("name") == "nobody" { throw HTTPError(.notFound, message: "Nobody is here.") }
        let by = request.headers[.accept] ?? "-"
        return .json(encoded: ByteBuffer(string: "{\\"name\\":\\"\\(request.parameter("name") ?? "")\\",\\"by\\":\\"\\(by)\\"}"))
    }
}""",
    ),
    "slow": (
        {"http": "GET /slow", "timeout": "3s", "concurrency": 1, "queueLimit": 0},
        """struct Slow: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        try await Task.sleep(for: .seconds(60))
        return .text("late")
    }
}""",
    ),
    "work": (
        {"queue": "handwork", "on": "process"},
        """struct Order: Decodable, Sendable { var mode: String }

struct Work: QueueFunction {
    func process(_ job: QueueJob<Order>, _ context: Context) async throws -> [String] {
        switch job.payload.mode {
        case "permanent": throw Permanent("no way")
        case "again": throw RetryAfter(.seconds(7), "not yet")
        case "steps":
            for step in [1, 2] { try await context.progress(step) }
            return []
        default: return [job.id, job.name, String(job.attempt)]
        }
    }
}""",
    ),
    "seen": (
        {"queue": "handwork", "on": "completed"},
        """struct Seen: EventFunction {
    func handle(_ event: QueueEvent, _ context: Context) async throws {
        if event.jobID == "bad" { throw HTTPError(.badRequest, message: "not that one") }
    }
}""",
    ),
    "tick": (
        {"schedule": "0 0 1 1 *"},
        """struct Tick: ScheduledFunction {
    func run(_ tick: ScheduledTick, _ context: Context) async throws {
        if tick.at.rfc3339 != "2026-01-31T12:00:00.000Z" { throw Permanent("at \\(tick.at)") }
    }
}""",
    ),
    "clock": (
        {"sse": "/clock"},
        """struct Clock: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        for number in 1...50 { try await events.send(ServerSentEvent("\\(number)", name: "n")) }
    }
}""",
    ),
    "chat": (
        {"websocket": "/chat/:room"},
        """struct Chat: WebSocketFunction {
    func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
        if request.parameter("room") == "closed" { throw HTTPError(.forbidden, message: "Not here.") }
        let socket = try await upgrade.accept()
        for try await message in socket {
            if message.string == "bye" { return await socket.close(WebSocketCloseCode(rawValue: 4001), reason: "bye") }
            try await socket.send(message)
        }
    }
}""",
    ),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("invoke")
    functions = folder / "functions"
    for name, (manifest, source) in SOURCES.items():
        (functions / name / "fixtures").mkdir(parents=True)
        (functions / name / "function.json").write_text(json.dumps(manifest))
        (functions / name / "Handler.swift").write_text("import FunctionKit\n\n" + source + "\n")
    fixture = {"parameters": {"name": "Fixture"}}
    (functions / "hello" / "fixtures" / "b.json").write_text("{}")
    (functions / "hello" / "fixtures" / "a.json").write_text(json.dumps(fixture))
    host = Host(folder, functions=functions)
    host.functions = functions
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    assert not (host.data / "admin.sock").exists()
    stop_private_redis(folder)


def ferry(site, *arguments):
    return subprocess.run(
        [FERRY, "invoke", "--data", str(site.data), "--functions", str(site.functions), *arguments],
        capture_output=True, text=True, timeout=60,
    )


def admin(site, method, path, body=None, token=...):
    """One request on the admin socket, without the tool."""
    connection = http.client.HTTPConnection("admin", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(str(site.data / "admin.sock"))
    if token is ...:
        token = (site.data / "admin.token").read_text().strip()
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_only_the_owner_with_the_token_is_answered(site):
    assert stat.S_IMODE((site.data / "admin.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((site.data / "admin.token").stat().st_mode) == 0o600
    for token in (None, "", "x" * 64):
        assert admin(site, "GET", "/admin/functions", token=token)[0] == 401
        assert admin(site, "POST", "/admin/functions/hello", {}, token=token)[0] == 401
    token = (site.data / "admin.token").read_text().strip()
    public = {"authorization": f"Bearer {token}"}
    assert site.client.get("/admin/functions", headers=public).status == 404
    assert site.client.post("/admin/functions/hello", {}, headers=public).status == 404
    status, listed = admin(site, "GET", "/admin/functions")
    assert status == 200
    assert {entry["name"]: entry["trigger"] for entry in listed["functions"]}["work"] == "queue handwork, process"


def test_each_kind_by_http(site):
    call = lambda name, body: admin(site, "POST", f"/admin/functions/{name}", body)  # noqa: E731
    status, answer = call("hello", {"parameters": {"name": "Ada L"}, "headers": {"Accept": "a/b"}})
    assert (status, answer["status"]) == (200, 200)
    assert json.loads(answer["body"]) == {"name": "Ada L", "by": "a/b"}
    assert answer["headers"]["content-type"] == "application/json"
    status, answer = call("hello", {"path": "/hello/nobody"})
    assert (status, answer["status"]) == (200, 404) and "Nobody is here." in answer["body"]
    assert call("work", {"data": {"mode": "x"}, "id": "j", "name": "n", "attempt": 2}) == (
        200, {"outcome": "completed", "returnValue": ["j", "n", "2"]})
    assert call("work", {"data": {"mode": "steps"}})[1]["progress"] == [1, 2]
    status, answer = call("work", {"data": {"mode": "permanent"}})
    assert (answer["outcome"], answer["reason"]) == ("failed", "no way")
    status, answer = call("work", {"data": {"mode": "again"}})
    assert (answer["outcome"], answer["retryAfterMs"]) == ("retry", 7000)
    assert call("work", {"data": {"mode": "again"}, "attempt": 3})[1]["outcome"] == "failed"
    assert call("work", {"data": {"wrong": 1}})[1]["class"] == "validation_error"
    assert call("seen", {"jobId": "good", "data": 1}) == (200, {"outcome": "completed"})
    assert call("seen", {"jobId": "bad"})[1]["reason"] == "not that one"
    assert call("tick", {"at": "2026-01-31T12:00:00Z"}) == (200, {"outcome": "completed"})
    status, answer = call("clock", {"limit": 3})
    assert [event["data"] for event in answer["events"]] == ["1", "2", "3"] and answer["ended"] == "limit"
    status, answer = call("clock", {"limit": 100})
    assert len(answer["events"]) == 50 and answer["ended"] == "returned"


def test_a_socket_is_called_by_hand(site):
    call = lambda body: admin(site, "POST", "/admin/functions/chat", body)  # noqa: E731
    room = {"parameters": {"room": "a"}}
    assert call({**room, "messages": ["one", {"two": 2}]}) == (200, {
        "status": 101, "messages": ["one", '{"two":2}'], "closeCode": 1000, "ended": "messages"})
    assert call({**room, "messages": ["one", "bye", "late"]}) == (200, {
        "status": 101, "messages": ["one"], "closeCode": 4001, "closeReason": "bye", "ended": "closed"})
    status, answer = call({"parameters": {"room": "closed"}})
    assert (status, answer["status"]) == (200, 403) and "Not here." in answer["body"]
    done = ferry(site, "chat", "-d", json.dumps({**room, "messages": ["x"]}))
    assert done.returncode == 0 and done.stderr.startswith("101, closed with 1000  ")
    assert json.loads(done.stdout)["messages"] == ["x"]
    assert ferry(site, "chat", "-d", json.dumps({**room, "messages": ["bye"]})).returncode == 1
    assert ferry(site, "chat", "--path", "/chat/closed", "-d", "{}").returncode == 1


def test_wrong_input_is_told_whole(site):
    status, answer = admin(site, "POST", "/admin/functions/hello", {"method": "GET", "bdoy": 1})
    assert status == 400
    assert {detail["field"] for detail in answer["details"]} == {"method", "bdoy", "parameters.name"}
    assert admin(site, "POST", "/admin/functions/none", {})[0] == 404


def test_limits_hold_for_calls_by_hand_too(site):
    answers = []
    first = threading.Thread(target=lambda: answers.append(admin(site, "POST", "/admin/functions/slow", {})))
    first.start()

    def running():
        listed = admin(site, "GET", "/admin/functions")[1]["functions"]
        return any(entry["name"] == "slow" and entry["running"] == 1 for entry in listed)

    wait_until(running, 10)
    assert admin(site, "POST", "/admin/functions/slow", {})[0] == 503
    assert site.client.get("/slow").status == 503
    refused = ferry(site, "slow")
    assert refused.returncode == 1 and "503" in refused.stderr
    first.join(20)
    assert answers[0][0] == 504


def test_the_tool_calls_each_kind(site):
    done = ferry(site, "hello")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "Fixture" and re.match(r"200  \d+ ms", done.stderr)
    done = ferry(site, "hello", "--path", "/hello/Bob", "-H", "Accept: c/d", "-d", "{}")
    assert json.loads(done.stdout) == {"name": "Bob", "by": "c/d"}
    gone = ferry(site, "hello", "--path", "/hello/nobody")
    assert gone.returncode == 1 and gone.stderr.startswith("404  ")
    done = ferry(site, "work", "-d", '{"data":{"mode":"x"}}', "--attempt", "3", "--event", "process", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["returnValue"][1:] == ["invoke", "3"]
    assert ferry(site, "work", "-d", '{"data":{"mode":"again"}}').returncode == 1
    assert ferry(site, "seen", "--event", "completed").returncode == 0
    assert ferry(site, "seen", "--event", "failed").returncode == 1
    assert ferry(site, "tick", "-d", '{"at":"2026-01-31T12:00:00Z"}', "--event", "schedule").returncode == 0
    assert len(json.loads(ferry(site, "clock").stdout)["events"]) == 10
    assert ferry(site, "hello", "-d", "{nonsense").returncode == 64
    assert ferry(site, "hello", "--event", "birthday").returncode == 64
    wrong = ferry(site, "hello", "--token", "x" * 20)
    assert wrong.returncode == 1 and "401" in wrong.stderr


def test_without_a_host_the_tool_says_how_to_start_one(site, tmp_path):
    result = subprocess.run(
        [FERRY, "invoke", "hello", "--data", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "ferry serve" in result.stderr


def test_a_port_is_configured_with_a_token_of_ones_own(make_host, site):
    token = "a-token-of-ones-own"
    host = make_host(functions=site.functions, args=["--only", "hello"], config={
        "admin": {"listen": "127.0.0.1:0", "token": token}})
    port = int(re.search(r"admin on http://127\.0\.0\.1:(\d+)", host.text()).group(1))
    assert Client("127.0.0.1", port).get("/admin/functions").status == 401
    done = ferry(site, "hello", "--target", f"http://127.0.0.1:{port}", "--token", token)
    assert done.returncode == 0 and json.loads(done.stdout)["name"] == "Fixture"
    assert not (host.data / "admin.sock").exists()


def test_an_address_that_others_reach_is_refused(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"admin": {"listen": "0.0.0.0:0", "token": "short"}}))
    result = subprocess.run(
        [FERRY, "serve", "--config", str(config), "--data", str(tmp_path / "data")],
        capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "admin.listen" in result.stderr and "admin.token" in result.stderr
