"""Record and replay: `ferry serve --record`, `ferry replay`."""

import json
import stat
import subprocess
import time

import jwt
import pytest
from conftest import FERRY, Host, each_way, stop_private_redis
from identities import bearer
from support import wait_until
from test_functions import write_function
from wsclient import TEXT, Frames, frame

SECRET = "a secret of a test that is long enough"
GREET = """import FunctionKit

struct Greet: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let name = request.queryParameter("name") ?? "nobody"
        if name == "nobody" { throw HTTPError(.notFound, message: "Nobody is here.") }
        var response = Response(body: ByteBuffer(string: "{\\"greeting\\":\\"Hello, \\(name)\\",\\"token\\":\\"t0p\\"}"))
        response.headers[.contentType] = "application/json"
        return response
    }
}
"""
CLOCK = """import FunctionKit

struct Clock: StreamFunction {
    func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
        for number in 1...3 { try await events.send(ServerSentEvent("\\(number)")) }
    }
}
"""
CHAT = """import FunctionKit

struct Chat: WebSocketFunction {
    func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
        let socket = try await upgrade.accept()
        for try await message in socket {
            try await socket.send(message)
            if message.string == "bye" { return await socket.close() }
        }
    }
}
"""
WORK = """import FunctionKit

struct Parcel: Codable, Sendable { var to: String }

struct Work: QueueFunction {
    func process(_ job: QueueJob<Parcel>, _ context: Context) async throws -> Parcel { job.payload }
}
"""
FUNCTIONS = {
    "greet": ({"http": "POST /greet"}, GREET),
    "clock": ({"sse": "/clock"}, CLOCK),
    "chat": ({"websocket": "/chat"}, CHAT),
    "work": ({"queue": "parcels", "on": "process"}, WORK),
}


def ferry(*arguments):
    return subprocess.run([FERRY, *map(str, arguments)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A host that records, and what its clients did."""
    folder = tmp_path_factory.mktemp("recordings")
    functions = folder / "functions"
    for name, (manifest, source) in FUNCTIONS.items():
        write_function(functions, name, manifest, source)
    host = Host(folder, functions=functions, args=["--record"], config={"record": {"redact": ["pin"]}})
    host.functions, host.where = functions, ["--functions", functions, "--data", host.data]
    host.client.post("/greet?name=Ada&api_key=k3y", {"password": "pa55", "pin": 1234, "n": 1}, headers={
        "authorization": "Bearer s3cret", "cookie": "id=s3cret", "accept": "*/*"})
    host.client.post("/greet", {})
    host.client.get("/clock")
    with Frames(host.port, "/chat") as socket:
        for word in (b"one", b"bye"):
            socket.send(frame(TEXT, word))
            socket.expect((TEXT, word))
    added = ferry("queue", "add", "parcels", "-d", '{"to":"ada"}', "--data", host.data)
    assert added.returncode == 0, added.stderr
    folder = host.data / "recordings"
    wait_until(lambda: folder.exists() and len(list(folder.glob("*.json"))) == 5, 20, lambda: host.text()[-2000:])
    yield host
    if host.process.poll() is None:
        assert host.stop() == 0
    stop_private_redis(host.data.parent)


def recordings(site):
    found = [json.loads(path.read_text()) for path in sorted((site.data / "recordings").glob("*.json"))]
    return {(it["recorded"]["function"], it.get("expect", {}).get("status")): it for it in found}


def test_what_is_recorded_is_a_fixture_without_secrets(site):
    folder = site.data / "recordings"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.glob("*.json"))
    found = recordings(site)
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    for secret in ("pa55", "1234", "k3y", "s3cret", "t0p"):
        assert secret not in text
    greet = found["greet", 200]
    assert greet["query"] == "name=Ada&api_key=<redacted>" and greet["body"] == {
        "password": "<redacted>", "pin": "<redacted>", "n": 1}
    assert greet["headers"]["accept"] == "*/*" and greet["headers"]["authorization"] == "<redacted>"
    assert greet["expect"]["body"] == {"greeting": "Hello, Ada", "token": "<redacted>"}
    assert greet["recorded"]["at"].startswith("20") and greet["recorded"]["ranMs"] >= 0
    assert found["greet", 404]["expect"]["body"]["code"] == "not_found"
    assert [event["data"] for event in found["clock", 200]["expect"]["events"]] == ["1", "2", "3"]
    assert found["chat", 101]["messages"] == found["chat", 101]["expect"]["messages"] == ["one", "bye"]
    assert found["work", None]["data"] == {"to": "ada"}
    assert found["work", None]["expect"] == {"outcome": "completed", "returnValue": {"to": "ada"}}


def test_replays_in_the_running_host_are_the_same_and_not_recorded(site):
    done = ferry("replay", "--since", "1h", *site.where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 the same, 0 different" in done.stdout
    done = ferry("replay", "--since", "1h", "greet", *site.where, "--json")
    assert [result["function"] for result in json.loads(done.stdout)] == ["greet", "greet"]
    assert len(list((site.data / "recordings").glob("*.json"))) == 5
    assert "nothing was recorded" in ferry("replay", "--since", "1ms", *site.where).stderr


def test_a_saved_recording_is_a_test(site):
    id = recordings(site)["greet", 200]["recorded"]["id"]
    saved = ferry("replay", id, "--save", "ada", *site.where)
    path = site.functions / "greet" / "fixtures" / "ada.json"
    assert saved.returncode == 0 and saved.stdout.strip() == str(path), saved.stderr
    assert "recorded" not in json.loads(path.read_text())
    assert "exists already" in ferry("replay", id, "--save", "ada", *site.where).stderr
    done = ferry("test", "greet", *site.where)
    assert done.returncode == 0 and "ok    greet/ada" in done.stdout, done.stdout + done.stderr
    assert ferry("replay", id, "--save", "../x", *site.where).returncode == 64


def test_what_is_no_recording_is_told(site):
    assert "ferry serve --record" in ferry("replay", "00000000", *site.where).stderr
    fixture = site.data.parent / "plain.json"
    fixture.write_text("{}")
    assert "is no recording" in ferry("replay", fixture, *site.where).stderr
    assert ferry("replay", *site.where).returncode == 64


WHO = """import FunctionKit

struct Who: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let user = context.user.map { "\\($0.id) \\($0.isAdmin)" } ?? "nobody"
        return .text(request.user == context.user ? user : "two users")
    }
}
"""


@each_way
def test_a_recording_keeps_who_called_and_is_replayed_as_that_user(make_host, tmp_path, way):
    functions = tmp_path / "functions"
    write_function(functions, "who", {"http": "GET /who"}, WHO)
    write_function(functions, "me", {"http": "GET /me", "auth": "user"}, WHO)
    identity = {"mode": "jwt", "admins": ["root"], "jwt": {"secret": SECRET}}
    host = make_host(functions=functions, config={"identity": identity}, args=["--record", *way])
    tokens = {name: jwt.encode({"sub": name, "exp": time.time() + 600}, SECRET, "HS256") for name in ("alice", "root")}
    seen = []
    for path, name in [("/me", "alice"), ("/me", "root"), ("/who", None), ("/who?ticket=t1ck3t", "alice"), ("/me", None)]:
        seen.append(host.client.get(path, headers=bearer(tokens.get(name))).body.decode())
    assert seen[:4] == ["alice false", "root true", "nobody", "alice false"]
    where = ["--functions", functions, "--data", host.data]
    folder = host.data / "recordings"
    wait_until(lambda: folder.exists() and len(list(folder.glob("*.json"))) == 4, 20, host.text)
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    users = [recording.get("user") for recording in found if recording["recorded"]["function"] == "me"]
    assert users == [{"id": "alice"}, {"id": "root", "isAdmin": True}]
    assert [recording["user"] for recording in found if recording["recorded"]["function"] == "who"] == [None, {"id": "alice"}]
    text = json.dumps(found) + host.text()
    assert "t1ck3t" not in text and "eyJ" not in text
    done = ferry("replay", "--since", "1h", *where)
    assert done.returncode == 0 and "4 the same, 0 different" in done.stdout, done.stdout + done.stderr
    assert host.stop() == 0
    done = ferry("replay", "--since", "1h", *where)
    assert done.returncode == 0 and "4 the same, 0 different" in done.stdout, done.stdout + done.stderr


def test_a_fixture_says_who_calls(tmp_path):
    functions = tmp_path / "functions"
    write_function(functions, "who", {"http": "GET /who", "auth": "user"}, WHO)
    (functions / "who" / "fixtures").mkdir()
    cases = {
        "ann": ({"id": "ann"}, "ann false"), "admin": ({"id": "ann", "isAdmin": True}, "ann true"), "nobody": (None, "nobody"),
    }
    for name, (user, body) in cases.items():
        fixture = functions / "who" / "fixtures" / f"{name}.json"
        fixture.write_text(json.dumps({"user": user, "expect": {"body": body}}))
    (functions / "who" / "fixtures" / "unsaid.json").write_text('{"expect": {"body": "local true"}}')
    where = ["--functions", functions, "--data", tmp_path / "data"]
    done = ferry("test", *where)
    assert done.returncode == 0 and "4 passed, 0 failed" in done.stdout, done.stdout + done.stderr
    for user in ({}, {"id": ""}, {"id": "a\nb"}, {"id": "a", "admin": True}, "ann"):
        (functions / "who" / "fixtures" / "unsaid.json").write_text(json.dumps({"user": user}))
        done = ferry("test", *where)
        assert done.returncode == 1 and "3 passed, 1 failed" in done.stdout and "user" in done.stdout, user


def test_a_change_shows_without_a_running_host(site):
    """Last: it stops the host and edits a function."""
    path = next((site.data / "recordings").glob("*-greet-*.json"))
    assert site.stop() == 0
    source = site.functions / "greet" / "Handler.swift"
    source.write_text(GREET.replace("Hello, \\(name)", "Hi, \\(name)").replace('\\"token', '\\"new\\":1,\\"token'))
    done = ferry("replay", "--since", "1h", "greet", *site.where, "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    differences = [result["differences"] for result in json.loads(done.stdout)]
    assert sorted(differences, key=len) == [[], [
        {"path": "body.greeting", "expected": '"Hello, Ada"', "actual": '"Hi, Ada"'},
        {"path": "body.new", "actual": "1"},
    ]]
    done = ferry("replay", path, *site.where, "--ignore", "body.greeting", "--ignore", "body.new")
    assert done.returncode == 0, done.stdout + done.stderr
