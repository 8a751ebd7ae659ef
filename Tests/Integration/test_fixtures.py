"""Fixtures as tests: `ferry test`."""

import json
import pathlib
import signal
import subprocess
import tempfile

import pytest
from conftest import FERRY
from test_functions import write_function
from test_tool import KINDS, ferry

ADDER = """import FunctionKit

struct Adder: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        let queue = try context.bindings.queue("letters")
        let added = try await queue.add("x", data: "{\\"message\\":\\"hi\\"}", options: JobOptions())
        for _ in 1...50 {
            guard try await queue.find(added.id)?.state == .waiting else { return .text("worked") }
            try await Task.sleep(for: .milliseconds(10))
        }
        return .text("waits")
    }
}
"""


def run(*arguments, cwd=None):
    return subprocess.run([FERRY, "test", *map(str, arguments)], capture_output=True, text=True, timeout=300, cwd=cwd)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fixtures") / "functions"
    for name, trigger in KINDS.items():
        ferry("new", name, *trigger, "--functions", folder)
    return ["--functions", folder, "--data", folder.parent / "data"]


def write_fixture(made, function, name, value):
    path = made[1] / function / "fixtures" / f"{name}.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def scratch():
    return set(pathlib.Path(tempfile.gettempdir()).glob("ferry-??????"))


def test_a_new_function_of_each_kind_passes_its_test(made):
    before = scratch()
    done = run(*made)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(KINDS)} passed, 0 failed" in done.stdout
    assert all(f"ok    {name}/{name}" in done.stdout for name in KINDS), done.stdout
    assert scratch() <= before
    # The modules stay, the stores do not.
    assert (made[3] / "modules").is_dir() and not (made[3] / "redis").exists()


def test_what_differs_is_shown_by_its_place(made):
    paths = [
        write_fixture(made, "echo", "wrong", {
            "body": {"message": "hi"}, "expect": {"status": 201, "headers": {"content-type": "text/plain"},
                                                  "body": {"message": "ho", "more": [1]}}}),
        write_fixture(made, "echo", "unknown", {"body": {}, "expect": {"staus": 200}}),
        write_fixture(made, "echo", "broken", "{"),
        write_fixture(made, "echo", "key", {"bdoy": {}}),
    ]
    try:
        done = run("echo", *made, "--json")
        assert done.returncode == 1
        results = {result["fixture"]: result for result in json.loads(done.stdout)}
        assert list(results) == ["broken", "echo", "key", "unknown", "wrong"]
        assert results["echo"]["passed"] and results["echo"]["differences"] == []
        assert results["wrong"]["differences"] == [
            {"path": "status", "expected": "201", "actual": "200"},
            {"path": "headers.content-type", "expected": '"text/plain"', "actual": '"application/json"'},
            {"path": "body.message", "expected": '"ho"', "actual": '"hi"'},
            {"path": "body.more", "expected": "[1]"},
        ]
        assert 'did you mean \\"status\\"' in json.dumps(results["unknown"]["reason"])
        assert "1:2" in results["broken"]["reason"] and "bdoy" in results["key"]["reason"]
        text = run("echo", "hello", *made)
        assert text.returncode == 1 and "2 passed, 4 failed" in text.stdout
        assert "body.message\n        expected \"ho\"\n        got      \"hi\"" in text.stdout
    finally:
        for path in paths:
            path.unlink()


def test_what_does_not_compile_fails_its_tests_and_no_others(made):
    source = made[1] / "hello" / "HelloHandler.swift"
    right = source.read_text()
    source.write_text(right.replace(".text(", ".txet("))
    try:
        done = run("hello", "echo", *made)
        assert done.returncode == 1
        assert "FAIL  hello/hello" in done.stdout and "ok    echo/echo" in done.stdout
        assert "HelloHandler.swift:6" in done.stderr and "does not compile" in done.stdout
    finally:
        source.write_text(right)


def test_nothing_works_the_queues_of_a_test(made):
    write_function(made[1], "adder", {"http": "POST /adder"}, ADDER)
    (made[1] / "adder" / "fixtures").mkdir()
    write_fixture(made, "adder", "a", {"expect": {"status": 200, "body": "waits"}})
    done = run("adder", "work", *made)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_tested_is_told(made):
    assert "there is no function" in run("nothing", *made).stderr
    write_function(made[1], "bare", {"http": "GET /bare"}, ADDER)
    done = run("bare", *made)
    assert done.returncode == 1 and "ferry event bare" in done.stderr
    done = run(*made, "--target", "local")
    assert done.returncode == 1 and "ferry serve" in done.stderr
    assert run(*made, "--target", "nowhere").returncode == 64


SLOW = """import FunctionKit

struct Slow: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        context.logger.error("begun")
        try await Task.sleep(for: .seconds(60))
        return .text("late")
    }
}
"""


def test_a_test_ends_with_its_functions_time_or_the_users_patience(made):
    write_function(made[1], "slow", {"http": "GET /slow", "timeout": "500ms"}, SLOW)
    (made[1] / "slow" / "fixtures").mkdir()
    write_fixture(made, "slow", "a", {})
    done = run("slow", *made)
    assert done.returncode == 1 and "504" in done.stdout
    write_function(made[1], "slow", {"http": "GET /slow"}, SLOW)
    before = scratch()
    process = subprocess.Popen(
        [FERRY, "test", "slow", *map(str, made)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any("begun" in line for line in process.stderr)
    assert len(scratch() - before) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "FAIL" not in process.stdout.read() and scratch() <= before


def test_a_running_host_is_tested_where_it_is_named(made, make_host):
    host = make_host(folder=made[1].parent, functions=made[1], args=["--only", "hello,chat"])
    done = run("hello", "chat", *made, "--target", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("echo", *made, "--target", "local")
    assert done.returncode == 1 and "404" in done.stdout
    assert host.process.poll() is None
