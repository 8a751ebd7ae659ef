"""`ferry queue` and `ferry dead`, on queues that the Python client of BullMQ made and works."""

import asyncio
import contextlib
import json
import os
import pty
import re
import subprocess
import time

import pytest
import redis
import redis.asyncio
from bullmq import FlowProducer, Queue, Worker

from conftest import FERRY, stop_private_redis
from support import wait_until


class Redis:
    """A redis-server of the test's own, on a Unix socket."""

    def __init__(self, folder):
        self.socket = str(folder / "redis.sock")
        self.url = "unix:" + self.socket
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", str(folder)],
            stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=self.socket, decode_responses=True)

        def answers():
            with contextlib.suppress(redis.ConnectionError):
                return self.client.ping()

        wait_until(answers)

    def connection(self):
        return redis.asyncio.Redis(unix_socket_path=self.socket, decode_responses=True, socket_timeout=None)

    def stop(self):
        self.client.close()
        self.process.terminate()
        self.process.wait(10)


class Shell:
    """Runs the command in a folder of its own."""

    def __init__(self, folder, server=None):
        self.folder = folder
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "REDIS_"))}
        self.env.pop("EDITOR", None)
        self.env.pop("VISUAL", None)
        if server:
            self.env["REDIS_URL"] = server.url

    def __call__(self, *arguments, status=0, stdin=None, env=None):
        done = subprocess.run(
            [FERRY, *arguments], cwd=self.folder, env={**self.env, **(env or {})}, text=True, timeout=60,
            capture_output=True, **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json").stdout)


@pytest.fixture
def server(tmp_path):
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def ferry(tmp_path, server):
    return Shell(tmp_path, server)


def with_peer(server, body, prefix="bull"):
    """Runs `body(make_queue, options)` with the peer, and closes what it made."""

    async def run():
        connection = server.connection()
        options = {"connection": connection, "prefix": prefix}
        queues = []

        def queue(name):
            queues.append(Queue(name, dict(options)))
            return queues[-1]

        try:
            return await body(queue, options)
        finally:
            await connection.aclose()

    return asyncio.run(asyncio.wait_for(run(), 60))


def add(server, name, *jobs, prefix="bull"):
    """Adds jobs (name, data, options) and returns their ids."""

    async def body(queue, options):
        made = queue(name)
        return [(await made.add(*job)).id for job in jobs]

    return with_peer(server, body, prefix)


def work(server, name, process, until, prefix="bull"):
    """Works a queue with the peer until a condition on the server holds."""

    async def body(queue, options):
        worker = Worker(name, process, {**options, "stalledInterval": 60000, "autorun": False})
        running = asyncio.ensure_future(worker.run())
        deadline = time.monotonic() + 30
        while not until():
            assert time.monotonic() < deadline, "the peer did not work the queue in time"
            await asyncio.sleep(0.01)
        await worker.close()
        running.cancel()

    with_peer(server, body, prefix)


def fail(server, name, *jobs, reason="boom"):
    """Adds jobs which the peer fails; returns their ids."""
    ids = add(server, name, *jobs)
    failed = server.client.zcard(f"bull:{name}:failed")

    async def process(job, token):
        raise Exception(reason)

    work(server, name, process, lambda: server.client.zcard(f"bull:{name}:failed") == failed + len(ids))
    return ids


def test_every_verb_has_help_with_examples(tmp_path):
    ferry = Shell(tmp_path)
    verbs = {
        "queue": ["ls", "peek", "add", "pause", "resume", "drain", "promote"],
        "dead": ["ls", "show", "edit", "retry", "purge"],
    }
    for group, names in verbs.items():
        assert "Examples:" in ferry(group, "--help").stdout
        for verb in names:
            text = ferry(group, verb, "--help").stdout
            assert re.search(rf"Examples?:\n.*ferry {group} {verb}", text, re.S), text
            assert "--prefix" in text and "--config" in text and "--data" in text


def test_a_list_of_queues(server, ferry):
    assert ferry.json("queue", "ls") == []
    add(server, "mail", ("a", {}), ("a", {}), ("b", {}, {"priority": 3}), ("c", {}, {"delay": 3600000}))
    fail(server, "scan", ("x", {}))
    add(server, "other", ("a", {}), prefix="team")
    ferry("queue", "pause", "scan")
    rows = ferry.json("queue", "ls")
    assert [row["name"] for row in rows] == ["mail", "scan"]
    counts = rows[0]["counts"]
    assert [counts[k] for k in ("waiting", "prioritized", "delayed", "active", "failed")] == [2, 1, 1, 0, 0]
    assert [row["isPaused"] for row in rows] == [False, True]
    assert rows[1]["counts"]["failed"] == 1 and rows[1]["hazards"] == []
    assert rows[1]["version"].startswith("bullmq-swift:")
    table = ferry("queue", "ls").stdout.splitlines()
    assert table[0].split() == "QUEUE WAITING ACTIVE DELAYED PRIORITIZED WAITING-CHILDREN FAILED COMPLETED STATE".split()
    assert table[1].split() == ["mail", "2", "0", "1", "1", "0", "0", "0", "running"]
    assert table[2].split()[-1] == "paused"
    assert [row["name"] for row in ferry.json("queue", "ls", "--prefix", "team")] == ["other"]


def test_a_peek_at_each_state(server, ferry):
    ids = add(server, "mail", *[("a", {"n": n}) for n in range(5)])
    add(server, "mail", ("low", {}, {"priority": 9}), ("high", {}, {"priority": 1}), ("late", {}, {"delay": 3600000}))
    assert [job["id"] for job in ferry.json("queue", "peek", "mail")] == ids
    page = ferry.json("queue", "peek", "mail", "--count", "2", "--offset", "1")
    assert [(job["id"], job["data"], job["state"]) for job in page] == [("2", {"n": 1}, "waiting"), ("3", {"n": 2}, "waiting")]
    assert [job["name"] for job in ferry.json("queue", "peek", "mail", "--state", "prioritized")] == ["high", "low"]
    assert [job["name"] for job in ferry.json("queue", "peek", "mail", "--state", "delayed")] == ["late"]
    assert "2 to 3 of 5 waiting" in ferry("queue", "peek", "mail", "--count", "2", "--offset", "1").stderr
    assert ferry.json("queue", "peek", "mail", "--state", "completed") == []
    assert "no queue" in ferry("queue", "peek", "mial", status=1).stderr
    for wrong in (["--state", "unknown"], ["--count", "0"], ["--count", "1001"], ["--offset", "-1"]):
        ferry("queue", "peek", "mail", *wrong, status=64)


def test_odd_jobs_are_shown_and_can_be_removed(server, ferry):
    add(server, "mail", ("a", {}))
    odd = {
        "torn": {"name": "a", "data": "{oops", "opts": "7", "timestamp": "yesterday", "atm": "many"},
        "bare": {"data": "1"},
        "a:b": {"name": "a\x1b[31m\n", "data": '"\\u2603"', "opts": "{}", "timestamp": "1", "attemptsMade": "2"},
    }
    for id, fields in odd.items():
        server.client.hset(f"bull:mail:{id}", mapping=fields)
        server.client.zadd("bull:mail:failed", {id: 1000})
    server.client.set("bull:mail:text", "no hash")
    server.client.zadd("bull:mail:failed", {"ghost": 1000, "text": 1000})
    jobs = {job["id"]: job for job in ferry.json("dead", "ls", "mail")}
    assert set(jobs) == {*odd, "ghost", "text"}
    assert jobs["torn"]["data"] is None and jobs["torn"]["dataText"] == "{oops"
    assert jobs["torn"]["defects"] == ["the data is not JSON", "the options are not a JSON object"]
    assert jobs["torn"]["addedAt"] is None
    assert jobs["bare"]["data"] == 1 and jobs["bare"]["name"] is None
    assert jobs["a:b"]["data"] == "\u2603" and jobs["a:b"]["attemptsMade"] == 2
    assert jobs["ghost"]["defects"] == ["there is no job behind this id"]
    table = ferry("dead", "ls", "mail").stdout
    assert "\x1b" not in table and len(table.splitlines()) == 6
    for id in ("torn", "bare", "a:b"):
        assert "\x1b" not in ferry("dead", "show", "mail", id).stdout
    assert "defect        the data is not JSON" in ferry("dead", "show", "mail", "torn").stdout
    ferry("dead", "edit", "mail", "torn", "-d", '{"mended":1}')
    assert server.client.hget("bull:mail:torn", "data") == '{"mended":1}'
    ferry("dead", "purge", "mail", "a:b")
    assert ferry("dead", "purge", "mail", "--all").stdout == "4 jobs purged\n"
    assert not server.client.exists("bull:mail:torn", "bull:mail:bare", "bull:mail:a:b", "bull:mail:failed")


def test_an_added_job_is_worked_by_the_peer(server, ferry, tmp_path):
    (tmp_path / "data.json").write_text('{"from":"file"}\n')
    assert ferry("queue", "add", "mail", "-d", '{"n":1}', "--name", "first").stdout == "1\n"
    assert ferry("queue", "add", "mail", "-d", "@data.json", "--priority", "2").stdout == "2\n"
    assert ferry("queue", "add", "mail", "-d", "-", "--id", "mine", "--delay", "50ms", stdin="[3]").stdout == "mine\n"
    ferry("queue", "add", "mail", "-d", "4", "--lifo", "--attempts", "2", "--backoff", "fixed:10ms")
    assert json.loads(server.client.hget("bull:mail:4", "opts")) == {
        "attempts": 2, "backoff": {"type": "fixed", "delay": 10}, "lifo": True}
    again = ferry("queue", "add", "mail", "--id", "mine", status=1)
    assert again.stdout == "mine\n" and "nothing was added" in again.stderr
    seen = []

    async def process(job, token):
        seen.append((job.id, job.name, job.data))
        if job.id == "4" and len(seen) == 1:
            raise Exception("once more")
        return 1

    work(server, "mail", process, lambda: server.client.zcard("bull:mail:completed") == 4)
    assert seen[0] == ("4", "job", 4)
    assert sorted(seen[1:]) == [("1", "first", {"n": 1}), ("2", "job", {"from": "file"}), ("4", "job", 4), ("mine", "job", [3])]


def test_what_cannot_be_added(server, ferry, tmp_path):
    (tmp_path / "torn.json").write_text("{")
    (tmp_path / "latin.json").write_bytes(b'"\xe9"')
    for wrong in (
        ["-d", "{oops"], ["--priority", "-1"], ["--priority", "2097152"], ["--attempts", "0"], ["--backoff", "slow:1s"],
        ["--backoff", "fixed"], ["--delay", "5"], ["--delay", "5 s"], ["--lifo", "--priority", "1"],
    ):
        ferry("queue", "add", "mail", *wrong, status=64)
    for wrong in (["-d", "@torn.json"], ["-d", "@none.json"], ["-d", "@latin.json"], ["--id", "12"], ["--id", "a:b"], ["--id", "wait"]):
        ferry("queue", "add", "mail", *wrong, status=1)
    ferry("queue", "add", "ma:il", status=1)
    assert server.client.keys() == []


def test_pause_and_resume_hold_for_the_peer(server, ferry):
    add(server, "mail", ("a", {}))
    assert ferry("queue", "pause", "mail").stdout == "paused\n"
    assert ferry("queue", "pause", "mail").stdout == "paused already\n"

    async def is_paused(queue, options):
        return await queue("mail").isPaused()

    assert with_peer(server, is_paused)
    assert server.client.hget("bull:mail:meta", "version").startswith("bullmq-swift:")
    assert ferry("queue", "resume", "mail").stdout == "resumed\n"
    assert ferry("queue", "resume", "mail").stdout == "running already\n"
    assert not with_peer(server, is_paused)
    for verb in ("pause", "resume", "drain", "promote"):
        options = {"drain": ["--yes"], "promote": ["--all"]}.get(verb, [])
        assert "no queue" in ferry("queue", verb, "none", *options, status=1).stderr
    assert server.client.keys("bull:none:*") == []


def test_the_layout_of_version_5_is_named_and_brought_back(server, ferry):
    add(server, "mail", ("a", {}), ("a", {}))
    # What a client of version 5 does when it pauses a queue.
    server.client.rename("bull:mail:wait", "bull:mail:paused")
    server.client.hset("bull:mail:meta", mapping={"paused": 1, "version": "bullmq:5.81.3"})
    add(server, "mail", ("later", {}))
    row = ferry.json("queue", "ls")[0]
    assert row["isPaused"] and row["counts"]["paused"] == 2 and len(row["hazards"]) == 2
    listing = ferry("queue", "ls")
    assert listing.stderr.count("warning: mail: ") == 2 and "bullmq:5.81.3" in listing.stderr
    assert [job["id"] for job in ferry.json("queue", "peek", "mail", "--state", "paused")] == ["1", "2"]
    assert ferry("queue", "resume", "mail").stdout == "resumed, 2 jobs brought back\n"
    seen = []

    async def process(job, token):
        seen.append(job.id)

    work(server, "mail", process, lambda: server.client.zcard("bull:mail:completed") == 3)
    assert seen == ["1", "2", "3"]
    assert server.client.hget("bull:mail:meta", "version") == "bullmq:5.81.3"


def test_a_drain_asks_first(server, ferry):
    add(server, "mail", ("a", {}), ("a", {}, {"priority": 1}), ("a", {}, {"delay": 3600000}))
    refused = ferry("queue", "drain", "mail", status=64)
    assert "--yes" in refused.stderr
    for answer, status, left in ((b"n\n", 1, 3), (b"y\n", 0, 1)):
        code, text = at_terminal(ferry, answer, "queue", "drain", "mail")
        assert code == status and b"Remove 2 jobs of mail?" in text, text
        assert len(server.client.keys("bull:mail:[0-9]")) == left
    assert ferry("queue", "drain", "mail", "--delayed", "--yes").stdout == "1 job removed\n"
    assert server.client.keys("bull:mail:[0-9]") == []


def test_a_drain_leaves_what_schedulers_have_planned(server, ferry):
    async def schedule(queue, options):
        made = queue("mail")
        await made.upsertJobScheduler("tick", {"every": 3600000}, "tick", {})
        await made.add("a", {}, {"delay": 3600000})

    with_peer(server, schedule)
    ferry("queue", "drain", "mail", "--delayed", "--yes")
    left = [key for key in server.client.keys("bull:mail:repeat:tick:*")]
    assert len(left) == 1
    assert server.client.zcard("bull:mail:delayed") + server.client.llen("bull:mail:wait") == 1


def test_promotion(server, ferry):
    add(server, "mail", *[("a", {}, {"delay": 3600000, "priority": n}) for n in range(4)], ("ready", {}))
    assert ferry("queue", "promote", "mail", "1").stdout == "1 job promoted\n"
    partly = ferry("queue", "promote", "mail", "2", "5", "none", status=1)
    assert partly.stdout == "1 job promoted\n"
    assert partly.stderr.count("it is not delayed") == 2
    assert ferry("queue", "promote", "mail", "--all").stdout == "2 jobs promoted\n"
    assert server.client.lrange("bull:mail:wait", 0, -1) == ["1", "5"]
    assert server.client.zrange("bull:mail:prioritized", 0, -1) == ["2", "3", "4"]
    ferry("queue", "promote", "mail", status=64)
    ferry("queue", "promote", "mail", "1", "--all", status=64)


def test_dead_letters_are_found_by_their_reason(server, ferry):
    fail(server, "mail", ("a", {}), ("b", {}), reason="Timeout of 5 s")
    fail(server, "mail", ("c", {}), reason="no such user \u2603")
    fail(server, "scan", ("d", {}), reason="timeout")
    add(server, "idle", ("a", {}))
    assert [job["name"] for job in ferry.json("dead", "ls", "mail")] == ["c", "b", "a"]
    found = ferry.json("dead", "ls", "--reason", "TIMEOUT")
    assert [(job["queue"], job["name"]) for job in found] == [("mail", "b"), ("mail", "a"), ("scan", "d")]
    assert [job["name"] for job in ferry.json("dead", "ls", "mail", "--limit", "1")] == ["c"]
    assert ferry.json("dead", "ls", "--count") == {"mail": 3, "scan": 1, "idle": 0}
    assert ferry.json("dead", "ls", "--count", "--reason", "timeout") == {"mail": 2, "scan": 1, "idle": 0}
    assert ferry("dead", "ls", "mail", "--count", "--reason", "\u2603").stdout == "1\n"
    assert "no such user \u2603" in ferry("dead", "ls").stdout
    ferry("dead", "ls", "none", status=1)


def test_a_dead_letter_is_shown(server, ferry):
    [id] = fail(server, "mail", ("a", {"to": "ada"}, {"attempts": 2, "backoff": 1}), reason="boom\nat line 2")
    server.client.rpush(f"bull:mail:{id}:logs", "one", "two")
    job = ferry.json("dead", "show", "mail", id)
    assert (job["state"], job["data"], job["attemptsMade"], job["maxAttempts"]) == ("failed", {"to": "ada"}, 2, 2)
    assert job["failedReason"] == "boom\nat line 2" and len(job["stacktraces"]) == 2
    assert job["log"] == ["one", "two"] and job["logCount"] == 2 and job["lockToken"] is None
    assert job["options"]["attempts"] == 2
    text = ferry("dead", "show", "mail", id).stdout
    assert 'data          {"to":"ada"}' in text and "stacktrace 2:" in text and "log, the last 2 of 2:" in text
    [waiting] = add(server, "mail", ("b", {}))
    assert "is waiting, not failed" in ferry("dead", "show", "mail", waiting, status=1).stderr
    for id in ("none", "wait", "meta", "events"):
        assert "has no job" in ferry("dead", "show", "mail", id, status=1).stderr


def test_a_dead_letter_is_edited_retried_and_worked(server, ferry, tmp_path):
    ids = fail(server, "mail", ("a", {"to": ""}, {"attempts": 2}), ("b", {"to": ""}), ("c", {"to": "x"}, {"priority": 4}))
    ferry("dead", "edit", "mail", ids[0], "-d", '{"to":"ada"}')
    ferry("dead", "edit", "mail", ids[1], "-d", "-", stdin='{"to":"bob"}')
    assert ferry("dead", "edit", "mail", ids[1], "-d", '{"to":"bob"}').stdout == "unchanged\n"
    ferry("dead", "edit", "mail", ids[0], "-d", "{oops", status=64)
    ferry("dead", "edit", "mail", ids[0], "-d", "@none", status=1)
    ferry("dead", "edit", "mail", "none", "-d", "{}", status=1)
    ferry("dead", "edit", "mail", ids[0], status=64)
    assert ferry("dead", "retry", "mail", ids[0]).stdout == "1 job retried\n"
    assert server.client.hmget(f"bull:mail:{ids[0]}", "atm", "ats", "finishedOn", "failedReason") == [None] * 4
    assert "it is not failed" in ferry("dead", "retry", "mail", ids[0], status=1).stderr
    assert "there is no such job" in ferry("dead", "retry", "mail", "none", status=1).stderr
    assert ferry("dead", "edit", "mail", ids[0], "-d", "{}", status=1).stderr.count("is waiting, not failed") == 1
    assert ferry("dead", "retry", "mail", "--all", "--keep-attempts").stdout == "2 jobs retried\n"
    assert server.client.hget(f"bull:mail:{ids[1]}", "atm") == "1"
    assert server.client.zrange("bull:mail:prioritized", 0, -1) == [ids[2]]
    seen = []

    async def process(job, token):
        seen.append((job.id, job.data["to"], job.attemptsMade))
        if not job.data["to"]:
            raise Exception("still no address")
        return "sent"

    work(server, "mail", process, lambda: server.client.zcard("bull:mail:completed") == 3)
    assert seen == [(ids[0], "ada", 0), (ids[1], "bob", 1), (ids[2], "x", 1)]
    assert server.client.zcard("bull:mail:failed") == 0
    for wrong in ([], ["1", "--all"], ["1", "--reason", "x"]):
        ferry("dead", "retry", "mail", *wrong, status=64)


def test_a_dead_letter_is_edited_in_an_editor(server, ferry, tmp_path):
    [id] = fail(server, "mail", ("a", {"to": ""}))
    editor = tmp_path / "edit with.sh"
    editor.write_text('#!/bin/sh\n[ "$1" = --flag ] || exit 3\nprintf "%s\\n" "$NEW" > "$2"\n')
    editor.chmod(0o755)
    ferry.env.update(EDITOR=f"'{editor}' --flag", NEW='{"to":"ada"}')
    code, text = at_terminal(ferry, b"", "dead", "edit", "mail", id)
    assert code == 0, text
    assert server.client.hget(f"bull:mail:{id}", "data") == '{"to":"ada"}'
    ferry.env["NEW"] = "{oops"
    code, text = at_terminal(ferry, b"", "dead", "edit", "mail", id)
    kept = re.search(rb"it is in (\S+\.json)", text)[1].decode()
    assert code == 1 and open(kept).read() == "{oops\n"
    os.unlink(kept)
    ferry.env["EDITOR"] = "false"
    code, text = at_terminal(ferry, b"", "dead", "edit", "mail", id)
    assert code == 1
    os.unlink(re.search(rb"the text is in (\S+\.json)", text)[1].decode())
    assert server.client.hget(f"bull:mail:{id}", "data") == '{"to":"ada"}'


def test_retry_by_reason(server, ferry):
    fail(server, "mail", ("a", {}), ("b", {}), reason="timeout")
    fail(server, "mail", ("c", {}), reason="bad")
    assert ferry("dead", "retry", "mail", "--all", "--reason", "Time").stdout == "2 jobs retried\n"
    assert server.client.lrange("bull:mail:wait", 0, -1) == ["2", "1"]
    assert server.client.zrange("bull:mail:failed", 0, -1) == ["3"]


def test_purging(server, ferry):
    ids = fail(server, "mail", *[("a", {}) for _ in range(6)])
    [waiting] = add(server, "mail", ("a", {}))
    partly = ferry("dead", "purge", "mail", ids[0], waiting, "none", status=1)
    assert partly.stdout == "1 job purged\n"
    assert "it is not failed" in partly.stderr and "there is no such job" in partly.stderr
    for id in ids[1:3]:
        server.client.hset(f"bull:mail:{id}", "finishedOn", 1000)
        server.client.zadd("bull:mail:failed", {id: 1000})
    assert ferry("dead", "purge", "mail", "--older-than", "7d").stdout == "2 jobs purged\n"
    assert server.client.zrange("bull:mail:failed", 0, -1) == ids[3:]
    for wrong in ([], ["--all", "--older-than", "7d"], ["1", "--all"], ["--older-than", "week"]):
        ferry("dead", "purge", "mail", *wrong, status=64)
    assert ferry("dead", "purge", "mail", "--all").stdout == "3 jobs purged\n"
    assert server.client.lrange("bull:mail:wait", 0, -1) == [waiting]
    assert sorted(server.client.keys("bull:mail:[0-9]*")) == [f"bull:mail:{waiting}"]


def test_a_retried_child_lets_its_parent_run(server, ferry):
    async def flow(queue, options):
        await FlowProducer(options).add({
            "name": "parent", "queueName": "mail", "data": {}, "opts": {"jobId": "p"},
            "children": [{"name": "child", "queueName": "mail", "data": {}, "opts": {"jobId": "c"}}],
        })

    with_peer(server, flow)
    outcomes = []

    async def process(job, token):
        outcomes.append(job.id)
        if len(outcomes) == 1:
            raise Exception("boom")
        return 1

    work(server, "mail", process, lambda: server.client.zcard("bull:mail:failed") == 1)
    ferry("dead", "retry", "mail", "c")
    work(server, "mail", process, lambda: server.client.zcard("bull:mail:completed") == 2)
    assert outcomes == ["c", "c", "p"]


def test_without_a_redis(tmp_path):
    ferry = Shell(tmp_path)
    for command in (["queue", "ls"], ["dead", "ls"], ["queue", "add", "mail"]):
        refused = ferry(*command, status=1)
        assert "does not run" in refused.stderr and "ferry serve" in refused.stderr
    assert list(tmp_path.iterdir()) == []
    away = ferry("queue", "ls", env={"REDIS_URL": f"unix:{tmp_path}/none.sock"}, status=1)
    assert "redis" in away.stderr
    wrong = ferry("queue", "ls", env={"REDIS_URL": "http://x"}, status=1)
    assert "REDIS_URL" in wrong.stderr
    ferry("queue", "ls", "--prefix", "", status=64)
    ferry("queue", status=0)
    ferry("queue", "list", status=64)


def test_a_configuration_names_redis_and_the_prefix(server, tmp_path):
    ferry = Shell(tmp_path)
    add(server, "mail", ("a", {}), prefix="team")
    (tmp_path / "my.json").write_text(json.dumps({"redis": {"url": server.url}, "queue": {"prefix": "team"}}))
    assert [row["name"] for row in ferry.json("queue", "ls", "--config", "my.json")] == ["mail"]
    assert ferry.json("queue", "ls", "--config", "my.json", "--prefix", "bull") == []
    (tmp_path / "my.json").write_text("{")
    ferry("queue", "ls", "--config", "my.json", status=1)


def at_terminal(ferry, answer, *arguments):
    """Runs a command at a terminal of its own; returns its status and all that it printed."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [FERRY, *arguments], cwd=ferry.folder, env=ferry.env, stdin=other, stdout=other, stderr=other, start_new_session=True)
    os.close(other)
    os.write(main, answer)
    text = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(main, 4096):
            text += chunk
    os.close(main)
    return process.wait(30), text


# Ferry's own queue


@pytest.fixture
def idle_host(make_host, tmp_path):
    """A host that accepts downloads and works none, and the command on its data folder."""
    host = make_host(args=("--only", "initiate,start,status,check,retry,cancel"))
    ferry = Shell(tmp_path)
    return host, lambda *arguments, **options: ferry(*arguments, "--data", str(host.data), **options)


def test_a_drain_of_the_own_queue_cancels_downloads(idle_host, tmp_path):
    host, ferry = idle_host
    ids = [host.client.initiate([70000 + n]) for n in range(3)]
    listing = json.loads(ferry("queue", "ls", "--json").stdout)
    [row] = [row for row in listing if row["name"] == "file-downloads"]
    assert row["counts"]["waiting"] + row["counts"]["delayed"] == 3
    assert ferry("queue", "drain", "file-downloads", "--delayed", "--yes").stdout == "3 jobs removed\n"
    assert {host.client.job(id)["status"] for id in ids} == {"cancelled"}
    [row] = [row for row in json.loads(ferry("queue", "ls", "--json").stdout) if row["name"] == "file-downloads"]
    assert row["counts"]["waiting"] + row["counts"]["delayed"] == 0
    # The host goes on: another download is accepted and queued.
    host.client.initiate([70000])
    assert host.client.post(f"/v1/download/job/{ids[0]}/retry").status == 202
    assert host.client.job(ids[0])["status"] == "queued"


def test_dead_downloads_are_retried_and_purged(make_host, tmp_path):
    host = make_host()
    shell = Shell(tmp_path)

    def ferry(*arguments, **options):
        return shell(*arguments, "--data", str(host.data), **options)

    ids = [host.client.initiate([99990 + n], on_missing="fail") for n in range(2)]
    for id in ids:
        assert host.client.finished(id)["status"] == "failed"
    wait_until(lambda: ferry("dead", "ls", "file-downloads", "--count").stdout == "2\n")
    refused = ferry("dead", "edit", "file-downloads", ids[0], "-d", "{}", status=1)
    assert "history" in refused.stderr
    # The file is there now: the retried download succeeds, in its second round.
    host.s3().put_object(Bucket=host.bucket, Key="downloads/99990.zip", Body=b"late")
    assert ferry("dead", "retry", "file-downloads", ids[0]).stdout == "1 job retried\n"
    assert host.client.finished(ids[0])["status"] == "ready"
    again = ferry("dead", "retry", "file-downloads", ids[0], "no-download", status=1)
    assert again.stdout == "0 jobs retried\n" and "ready" in again.stderr and "it is no download" in again.stderr
    wrong = ferry("dead", "purge", "file-downloads", ids[0], "none", status=1)
    assert wrong.stdout == "0 jobs purged\n" and wrong.stderr.count("it is not failed") == 2
    assert host.client.job(ids[0])["status"] == "ready"
    assert ferry("dead", "purge", "file-downloads", "--older-than", "1h").stdout == "0 jobs purged\n"
    assert ferry("dead", "purge", "file-downloads", "--all").stdout == "1 job purged\n"
    assert ferry("dead", "ls", "file-downloads", "--count").stdout == "0\n"
    assert host.client.job(ids[1])["status"] == "failed"


def test_the_own_queue_needs_its_history(server, tmp_path):
    ferry = Shell(tmp_path, server)
    add(server, "file-downloads", ("a", {}))
    refused = ferry("queue", "drain", "file-downloads", "--yes", status=1)
    assert "history.sqlite" in refused.stderr
    assert server.client.llen("bull:file-downloads:wait") == 1
    add(server, "file-downloads", ("a", {}), prefix="team")
    assert ferry("queue", "drain", "file-downloads", "--yes", "--prefix", "team").stdout == "1 job removed\n"
