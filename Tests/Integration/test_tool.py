"""The verbs for people who write functions: new, describe, explain, event, completion."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import FERRY, ROOT
from wsclient import TEXT, Frames, frame

KINDS = {
    "hello": ["--http", "GET /hello/:name"],
    "echo": ["--http", "POST /echo"],
    "orders": ["--cloudevents", "POST /orders/:shop"],
    "work": ["--queue", "letters", "--on", "process"],
    "on-progress": ["--queue", "letters", "--on", "progress"],
    "on-completed": ["--queue", "letters", "--on", "completed"],
    "on-failed": ["--queue", "letters", "--on", "failed"],
    "clock": ["--sse", "/clock/:zone"],
    "chat": ["--websocket", "/chat"],
    "7-days": ["--schedule", "0 0 1 1 *", "--timezone", "Europe/Berlin"],
}


def ferry(*arguments, status=0):
    run = subprocess.run([FERRY, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert run.returncode == status, run.stdout + run.stderr
    return run.stdout if status == 0 else run.stdout + run.stderr


def fixture(folder, name):
    return json.loads((folder / name / "fixtures" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of functions with one of each kind, and their data folder."""
    folder = tmp_path_factory.mktemp("tool") / "functions"
    for name, trigger in KINDS.items():
        output = ferry("new", name, *trigger, "--functions", folder)
        assert f"{folder}/{name}/function.json" in output and f"ferry test {name}" in output
    return folder, folder.parent / "data"


def test_each_kind_of_new_function_validates_builds_and_answers(made, make_host):
    folder, data = made
    assert f"{len(KINDS)} functions, no problems" in ferry("validate", "--functions", folder)
    host = make_host(folder=folder.parent, functions=folder)
    assert host.data == data
    states = {item["name"]: item["state"] for item in json.loads(ferry(
        "list", "--json", "--functions", folder, "--data", data))}
    assert states == {name: "built" for name in KINDS}, host.text()[-4000:]
    for name in ("hello", "echo", "orders"):
        call = fixture(folder, name)
        body = None if call["body"] is None else json.dumps(call["body"])
        answer = host.client.request(call["method"], call["path"], body=body, headers=call["headers"])
        assert answer.status == call["expect"]["status"]
        expected = call["expect"]["body"]
        assert (answer.json() if isinstance(expected, dict) else answer.body.decode()) == expected
    call = fixture(folder, "clock")
    events = host.client.get(call["path"], headers=call["headers"]).body.decode()
    assert all(f"event: {e['event']}\n" in events and f"data: {e['data']}\n" in events
               for e in call["expect"]["events"]), events
    call = fixture(folder, "chat")
    with Frames(host.port, call["path"]) as socket:
        for message, reply in zip(call["messages"], call["expect"]["messages"], strict=True):
            socket.send(frame(TEXT, message.encode()))
            socket.expect((TEXT, reply.encode()))
    # Its own fixture is a call that each kind takes by hand.
    for name in KINDS:
        ferry("invoke", name, "--functions", folder, "--data", data)


@pytest.mark.parametrize("arguments, reason", [
    (["Hello", "--http", "GET /x"], "is no name for a function"),
    (["hello", "--http", "GET /x"], "exists already"),
    (["other", "--http", "GET /hello/:who"], "is already that of hello"),
    (["other", "--cloudevents", "POST /orders/:name"], "is already that of orders"),
    (["other", "--cloudevents", "GET /other"], "needs a method whose requests have a body"),
    (["other", "--sse", "/hello/:who"], "is already that of hello"),
    (["other", "--http", "GET /health"], "is already that of the host"),
    (["other", "--queue", "letters", "--on", "process"], "is already that of work"),
    (["other", "--queue", "letters", "--on", "proces"], "process"),
    (["other", "--schedule", "61 * * * *"], "schedule"),
    (["other", "--http", "get /x"], "upper-case"),
])
def test_what_cannot_be_made_is_refused_and_leaves_nothing(made, arguments, reason):
    folder, _ = made
    before = sorted(folder.rglob("*"))
    assert reason in ferry("new", *arguments, "--functions", folder, status=1)
    assert sorted(folder.rglob("*")) == before


def test_a_new_function_needs_one_trigger(tmp_path):
    for trigger in ([], ["--http", "GET /x", "--sse", "/y"], ["--queue", "q"], ["--sse", "/x", "--timezone", "UTC"]):
        ferry("new", "x", *trigger, "--functions", tmp_path / "functions", status=64)
    assert not (tmp_path / "functions").exists()


def test_describe_marks_defaults_and_tells_the_handler(made):
    folder, data = made
    (folder / "work" / "function.json").write_text(json.dumps(
        {"queue": "letters", "on": "process", "timeout": "7s", "retry": {"attempts": 5, "backoff": "fixed"}}))
    where = ["--functions", folder, "--data", data]
    work = json.loads(ferry("describe", "work", "--json", *where))
    assert (work["trigger"], work["target"], work["handler"]) == ("queue", "letters process", "WorkHandler")
    assert work["handlerFile"] == str(folder / "work" / "WorkHandler.swift") and work["handlerLine"] == 4
    assert work["values"]["timeout"] == {"value": "7s", "isDefault": False}
    assert work["values"]["concurrency"] == {"value": "4", "isDefault": True}
    assert work["values"]["retry"] == {"value": "5 attempts, delays of 2s each", "isDefault": False}
    assert "maxBody" not in work["values"]
    text = ferry("describe", "hello", *where)
    assert "GET /hello/:name" in text and "135s (default)" in text and "HelloHandler.swift:4" in text
    assert 'did you mean "hello"' in ferry("describe", "helo", *where, status=1)


def test_explain_tells_who_answers_why_and_what_fails(made):
    folder, _ = made
    where = ["--functions", folder]
    answer = json.loads(ferry("explain", "GET /hello/Ada%20L", "--json", *where))
    assert answer["functions"] == ["hello"] and answer["parameters"] == {"name": "Ada L"}
    assert answer["limits"]["hello"]["timeout"] == "135s"
    assert {"when": "more than 135s", "then": "504, and the task is cancelled"} in answer["failures"]
    assert "405 with Allow: GET, HEAD, OPTIONS" in ferry("explain", "POST /hello/x", *where, status=1)
    assert "GET /hello/:name" in ferry("explain", "GET /helo/x", *where, status=1)
    explained = ferry("explain", "POST /orders/x", *where)
    assert "orders answers" in explained and "no valid event: 400" in explained and "maxBody: 1048576" in explained
    queue = json.loads(ferry("explain", "letters", "--on", "failed", "--json", *where))
    assert queue["functions"] == ["on-failed"]
    assert "no function of this folder" in ferry("explain", "nobody", "--on", "failed", *where, status=1)
    assert "0 0 1 1 * (Europe/Berlin)" in ferry("explain", "7-days", *where)
    assert "is no request" in ferry("explain", "hello", *where, status=1)


def test_explain_knows_the_functions_of_this_checkout():
    where = ["--functions", ROOT / "functions"]
    answer = json.loads(ferry("explain", "POST /v1/download/initiate", "--json", *where))
    assert answer["functions"] == ["initiate"]


def test_event_prints_a_sample_of_the_trigger(made):
    folder, _ = made

    def event(name):
        return json.loads(ferry("event", name, "--functions", folder))

    for name in ("hello", "echo", "orders", "work", "clock", "chat"):
        expected = fixture(folder, name)
        expected.pop("expect")
        assert event(name) == expected
    failed = event("on-failed")
    assert (failed["kind"], failed["queue"]) == ("failed", "letters") and {"jobId", "data", "at"} <= failed.keys()
    assert event("on-progress")["data"] == {"percentage": 50}
    assert event("7-days").keys() == {"at", "attempt", "maxAttempts"}
    assert "there is no function" in ferry("event", "nothing", "--functions", folder, status=1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_for_the_functions(shell):
    script = ferry("--generate-completion-script", shell)
    assert "describe" in script and "---completion" in script


def test_bash_completes_the_names_of_functions(made):
    folder, _ = made
    script = """
    source <(ferry --generate-completion-script bash)
    COMP_WORDS=(ferry describe on-) COMP_CWORD=2 COMP_LINE="ferry describe on-" COMP_POINT=18
    _ferry ferry on- describe
    printf '%s\n' "${COMPREPLY[@]}"
    """
    path = f"{pathlib.Path(FERRY).resolve().parent}:{os.environ['PATH']}"
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, cwd=folder.parent,
                         env={**os.environ, "PATH": path})
    assert run.stdout.split() == ["on-completed", "on-failed", "on-progress"], run.stderr
