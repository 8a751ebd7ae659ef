"""Functions of strangers: added by hand, broken, foreign, slow, endless."""

import json
import re
import socket
import subprocess
import threading
import time

import pytest
from conftest import FERRY, ROOT, SOAK
from support import Client, wait_until

HELLO = """import FunctionKit

struct Hello: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        .text("Hello, \\(request.parameter("name") ?? "world")!\\n")
    }
}
"""


def write_function(folder, name, manifest, source):
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "function.json").write_text(json.dumps(manifest) if isinstance(manifest, dict) else manifest)
    (folder / name / "Handler.swift").write_text(source)


def handler(body, name="Handler"):
    return f"""import FunctionKit
import Glibc

struct {name}: HTTPFunction {{
    func handle(_ request: Request, _ context: Context) async throws -> Response {{
        {body}
    }}
}}
"""


def ferry(*arguments, **options):
    return subprocess.run([FERRY, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)


def test_the_readmes_function_answers_without_any_other_file(make_host, tmp_path):
    readme = (ROOT / "README.md").read_text()
    source = next(block for block in re.findall(r"```swift\n(.*?)```", readme, re.S) if "HTTPFunction" in block)
    manifest = next(block for block in re.findall(r"```json\n(.*?)```", readme, re.S) if '"http"' in block)
    assert len(source.strip().splitlines()) < 15
    write_function(tmp_path / "functions", "hello", manifest, source)
    host = make_host(functions=tmp_path / "functions")
    assert host.client.get("/hello/Ada%20L").body == b"Hello, Ada L!\n"


def test_broken_functions_are_reported_and_the_others_served(make_host, tmp_path):
    folder = tmp_path / "functions"
    write_function(folder, "good", {"http": "GET /good"}, handler('.text("good")'))
    write_function(folder, "typo", {"http": "GET /typo"}, handler(".text(nothing)", "Typo"))
    write_function(folder, "wrong", '{\n  "http": "GET /wrong",\n  "timeuot": "3s",\n  "concurrency": 0\n}', HELLO)
    write_function(folder, "twice", {"http": "GET /good"}, handler('.text("other")', "Twice"))
    host = make_host(functions=folder)
    assert host.client.get("/good").body == b"good"
    assert host.client.get("/typo").status == host.client.get("/wrong").status == 404
    report = ferry("validate", "--functions", folder)
    assert report.returncode == 1
    text = report.stdout + report.stderr
    assert re.search(r"wrong/function\.json:3:\d+: .*timeuot.*timeout", text), text
    assert re.search(r"wrong/function\.json:4:\d+: .*concurrency", text), text
    assert "good" in text and "twice" in text
    log = host.text()
    assert re.search(r"typo/Handler\.swift:6(:\d+)?: .*nothing", log), log[-3000:]
    listed = json.loads(ferry("list", "--json", "--functions", folder, "--data", host.data).stdout)
    states = {entry["name"]: entry for entry in listed}
    assert states["good"]["route"] == "GET /good" and states["good"]["timeout"]
    assert states["good"]["state"] != states["wrong"]["state"]


def test_unchanged_functions_are_not_built_again(make_host, tmp_path):
    folder = tmp_path / "functions"
    write_function(folder, "hello", {"http": "GET /hello"}, HELLO)
    host = make_host(functions=folder)
    modules = {path: path.stat().st_ino for path in host.data.rglob("*.so")}
    assert modules
    host.stop()
    host = make_host(functions=folder)
    assert {path: path.stat().st_ino for path in host.data.rglob("*.so")} == modules
    host.stop()
    write_function(folder, "hello", {"http": "GET /hello"}, HELLO.replace("Hello,", "Good day,"))
    host = make_host(functions=folder)
    assert host.client.get("/hello").body.startswith(b"Good day,")


def test_module_of_another_compiler_is_refused(make_host, tmp_path):
    folder = tmp_path / "functions"
    write_function(folder, "hello", {"http": "GET /hello"}, HELLO)
    host = make_host(functions=folder)
    assert host.client.get("/hello").status == 200
    host.stop()
    (module,) = host.data.rglob("*.so")
    notes = subprocess.run(["readelf", "-n", module], capture_output=True, text=True).stdout
    build_id = bytes.fromhex(re.search(r"Build ID: ([0-9a-f]+)", notes)[1])
    content = module.read_bytes()
    assert content.count(build_id) == 1
    module.write_bytes(content.replace(build_id, bytes(len(build_id))))
    host = make_host(functions=folder)
    assert host.client.get("/hello").status == 404
    log = host.text()
    assert "0" * 16 in log and build_id.hex()[:16] in log and "ferry build hello" in log


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    from conftest import Host, stop_private_redis

    folder = tmp_path_factory.mktemp("strange")
    functions = folder / "functions"
    write_function(functions, "fine", {"http": "GET /fine"}, handler('.text("fine")'))
    write_function(
        functions, "throws", {"http": "GET /throws"},
        "import FunctionKit\nstruct Secret: Error { let password = \"hunter2\" }\n" + handler("throw Secret()")[19:],
    )
    write_function(functions, "refuses", {"http": "GET /refuses"}, handler('throw HTTPError(.conflict, message: "Not now.")'))
    write_function(
        functions, "sleeps", {"http": "GET /sleeps", "timeout": "1s"},
        handler('try await Task.sleep(for: .seconds(600)); return .text("late")'),
    )
    write_function(
        functions, "spins", {"http": "GET /spins", "timeout": "500ms", "concurrency": 2, "queueLimit": 0},
        handler('var n: UInt64 = 1; while n != 0 { n = (n &* 3) | 1 }; return .text("\\(n)")'),
    )
    write_function(
        functions, "waits", {"http": "GET /waits", "timeout": "60s"},
        handler(
            'do { try await Task.sleep(for: .seconds(50)) } catch { context.logger.notice("the caller went away"); throw error }'
            '; return .text("late")'
        ),
    )
    write_function(
        functions, "narrow", {"http": "GET /narrow", "concurrency": 1, "queueLimit": 1, "timeout": "30s"},
        handler('try await Task.sleep(for: .seconds(1)); return .text("narrow")'),
    )
    host = Host(folder, functions=functions)
    yield host
    host.process.terminate()
    try:
        host.process.wait(45)
    except subprocess.TimeoutExpired:
        host.process.kill()
    stop_private_redis(folder)


def test_handler_that_throws(strange):
    answer = strange.client.get("/throws")
    assert answer.status == 500 and b"hunter2" not in answer.body and b"Secret" not in answer.body
    assert answer.json()["requestId"] in strange.text()
    answer = strange.client.get("/refuses")
    assert answer.status == 409 and answer.json()["message"] == "Not now."
    assert strange.client.get("/fine").body == b"fine"


def test_handler_past_its_timeout(strange):
    begun = time.monotonic()
    answer = strange.client.get("/sleeps")
    assert answer.status == 504 and answer.json()["code"] == "gateway_timeout"
    assert 0.9 < time.monotonic() - begun < 10


def test_saturated_function_answers_503(strange):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(strange.client.get("/narrow"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sorted(answer.status for answer in answers)
    assert statuses.count(200) >= 2 and 503 in statuses and set(statuses) == {200, 503}
    assert all(answer.headers["retry-after"] for answer in answers if answer.status == 503)


def test_client_that_goes_away_cancels_the_handler(strange):
    with socket.create_connection(("127.0.0.1", strange.port)) as connection:
        connection.sendall(b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(0.2)
    wait_until(lambda: "the caller went away" in strange.text(), 20)


def test_endless_handler_does_not_stop_the_others(strange):
    for _ in range(2):
        answer = strange.client.get("/spins")
        assert answer.status == 504
        assert strange.client.get("/fine").body == b"fine"
    assert strange.client.get("/spins").status == 503
    for _ in range(50):
        assert strange.client.get("/fine").body == b"fine"
    wait_until(lambda: re.search(r"spins.*(lost|still running)|(lost|still running).*spins", strange.text()), 30)


def test_function_against_an_installed_ferry(tmp_path):
    """What `make install` copies suffices for a folder of one's own."""
    prefix = tmp_path / "prefix"
    command = ["make", "-s", "install-files", f"PREFIX={prefix}", f"FERRY={FERRY}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    from conftest import Host, stop_private_redis

    write_function(tmp_path / "mine", "hello", {"http": "GET /hello/:name"}, HELLO)
    host = Host(tmp_path, functions=tmp_path / "mine", binary=str(prefix / "bin" / "ferry"))
    try:
        assert host.client.get("/hello/stranger").body == b"Hello, stranger!\n"
        maps = open(f"/proc/{host.process.pid}/maps").read()
        assert "/hello-" in maps and str(ROOT) not in maps
    finally:
        assert host.stop() == 0
        stop_private_redis(tmp_path)
