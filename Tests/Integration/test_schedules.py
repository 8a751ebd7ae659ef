"""Scheduled functions: each tick once over several hosts, what Redis loses is put back, bad manifests are refused."""

import asyncio
import json
import re
import signal
import subprocess
import time

import pytest
import redis
import redis.asyncio
from bullmq import Queue
from conftest import SOAK, Host
from support import wait_until
from test_functions import ferry, write_function

TICKER = """import FunctionKit

struct Ticker: ScheduledFunction {
    func run(_ tick: ScheduledTick, _ context: Context) async throws {
        let line = "\\(tick.at.milliseconds) \\(tick.attempt)/\\(tick.maxAttempts) \\(Timestamp.now.milliseconds)"
        _ = try await context.bindings.keyValue.send(["RPUSH", "ticks", line])
        BODY
    }
}
"""


class Server:
    """A redis-server of the test's own, on a Unix socket."""

    def __init__(self, folder):
        folder.mkdir()
        self.socket = str(folder / "s")
        self.command = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", str(folder)]
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        self.redis = redis.Redis(unix_socket_path=self.socket, decode_responses=True)
        wait_until(self.answers, 20)

    def answers(self):
        try:
            return self.redis.ping()
        except redis.ConnectionError:
            return False

    def stop(self):
        self.redis.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def replicas(tmp_path, server):
    """Starts hosts that share one redis-server and one build of the function."""
    hosts = []

    def start(functions=tmp_path / "functions", check="500ms", **queue):
        config = {
            "redis": {"url": f"unix:{server.socket}"}, "queue": {"scheduleCheck": check, **queue},
            "http": {"drainTimeout": "2s"},
        }
        host = Host(tmp_path, functions=functions, config=config)
        hosts.append(host)
        return host

    yield start
    for host in hosts:
        if host.process.poll() is None:
            host.stop()


def write_ticker(tmp_path, body="", schedule="*/2 * * * * *", **manifest):
    write_function(tmp_path / "functions", "ticker", {"schedule": schedule, **manifest}, TICKER.replace("BODY", body))


def ticks(server):
    """The ticks so far as (due, attempt, run at), in the order of running."""
    lines = (line.split() for line in server.redis.lrange("ticks", 0, -1))
    return [(int(due), attempt, int(at)) for due, attempt, at in lines]


def check_each_once(found, period):
    due = [tick[0] for tick in found]
    assert due == sorted(due) and len(set(due)) == len(due), due
    assert all(b - a == period for a, b in zip(due, due[1:])), due
    assert all(tick[2] >= tick[0] for tick in found), found


def test_three_replicas_run_each_tick_once(replicas, server, tmp_path):
    write_ticker(tmp_path)
    for _ in range(3):
        replicas()
    begun = time.monotonic()
    seconds = 300 if SOAK else 15
    wait_until(lambda: time.monotonic() - begun >= seconds, seconds + 5)
    found = ticks(server)
    check_each_once(found, 2000)
    assert len(found) >= seconds / 2 - 1, found
    late = sorted(at - due for due, _, at in found)
    assert late[len(late) // 2] < 500, late
    assert {attempt for _, attempt, _ in found} == {"1/1"}
    assert server.redis.zcard("bull:schedule-ticker:completed") <= 10
    assert server.redis.zcard("bull:schedule-ticker:failed") == 0
    assert server.redis.zcard("bull:schedule-ticker:repeat") == 1


def test_replicas_come_and_go_without_costing_a_tick(replicas, server, tmp_path):
    write_ticker(tmp_path)
    first, second = replicas(), replicas()
    wait_until(lambda: len(ticks(server)) >= 2, 30)
    assert first.stop() == 0
    third = replicas()
    wait_until(lambda: len(ticks(server)) >= 4, 30)
    second.kill()
    wait_until(lambda: len(ticks(server)) >= 6, 30)
    third.stop()
    check_each_once(ticks(server), 2000)


def test_what_redis_loses_is_put_back(replicas, server, tmp_path):
    write_ticker(tmp_path, schedule="* * * * * *")
    replicas(), replicas()
    wait_until(lambda: len(ticks(server)) >= 2, 30)
    for lost in [["*"], ["repeat", "repeat:ticker"], ["delayed"], ["repeat:ticker:*", "delayed"], None] * (10 if SOAK else 1):
        if lost is None:
            server.redis.flushall()
        else:
            keys = [key for name in lost for key in server.redis.keys(f"bull:schedule-ticker:{name}")]
            if keys:
                server.redis.delete(*keys)
        before = ticks(server)
        wait_until(lambda: len(ticks(server)) >= len(before) + 2, 20, lambda: f"lost: {lost}")
        due = [tick[0] for tick in ticks(server)]
        assert len(set(due)) == len(due), (lost, due)
    assert server.redis.zcard("bull:schedule-ticker:repeat") == 1
    wait_until(lambda: server.redis.zcard("bull:schedule-ticker:delayed") == 1, 5)


def test_a_changed_pattern_holds_from_the_restart_on(replicas, server, tmp_path):
    write_ticker(tmp_path, schedule="0 0 1 1 *", timezone="Asia/Tokyo", retry={"attempts": 3, "delay": "5s"})
    host = replicas()
    key = "bull:schedule-ticker:repeat:ticker"
    wait_until(lambda: server.redis.exists(key), 20)
    record = server.redis.hgetall(key)
    assert (record["pattern"], record["tz"], record["ic"]) == ("0 0 1 1 *", "Asia/Tokyo", "1")
    assert json.loads(record["opts"]) == {
        "attempts": 3, "backoff": {"type": "exponential", "delay": 5000}, "removeOnComplete": 10, "removeOnFail": 100,
    }
    assert host.stop() == 0
    write_ticker(tmp_path, schedule="* * * * * *")
    replicas()
    wait_until(lambda: len(ticks(server)) >= 3, 30)
    check_each_once(ticks(server), 1000)
    assert server.redis.hget(key, "pattern") == "* * * * * *"


def test_a_tick_that_fails_is_tried_again_as_the_manifest_says(replicas, server, tmp_path):
    body = 'if tick.attempt < 3 { throw RetryAfter(.milliseconds(100), "not yet") }'
    write_ticker(tmp_path, body, schedule="*/3 * * * * *", retry={"attempts": 3, "delay": "10s"})
    replicas()
    wait_until(lambda: len(ticks(server)) >= 6, 40)
    found = ticks(server)[:6]
    assert [attempt for _, attempt, _ in found] == ["1/3", "2/3", "3/3"] * 2
    assert len({due for due, _, _ in found[:3]}) == 1 and found[3][0] - found[0][0] == 3000


def test_a_tick_past_its_timeout_fails_and_the_next_one_comes(replicas, server, tmp_path):
    write_ticker(tmp_path, "try await Task.sleep(for: .seconds(60))", timeout="500ms")
    replicas()
    wait_until(lambda: server.redis.zcard("bull:schedule-ticker:failed") >= 2, 40)
    check_each_once(ticks(server), 2000)
    job = server.redis.zrange("bull:schedule-ticker:failed", 0, 0)[0]
    assert server.redis.hget(f"bull:schedule-ticker:{job}", "failedReason").startswith("timeout_error")


def test_the_tick_of_a_killed_host_runs_elsewhere(replicas, server, tmp_path):
    body = 'if try await context.bindings.keyValue.send(["SET", "first", "1", "NX"]) != .null { try await Task.sleep(for: .seconds(60)) }'
    write_ticker(tmp_path, body, schedule="*/3 * * * * *")
    locks = {"lockDuration": "1s", "stalledCheck": "500ms", "stalledGate": "400ms"}
    first = replicas(**locks)
    wait_until(lambda: server.redis.exists("first"), 30)
    second = replicas(**locks)
    first.kill()
    wait_until(lambda: len(ticks(server)) >= 4, 40)
    second.stop()
    due = [tick[0] for tick in ticks(server)]
    assert due.count(due[0]) == 2, due
    others = sorted(set(due))
    assert all(b - a == 3000 for a, b in zip(others, others[1:])), due


def test_the_peer_sees_the_scheduler(replicas, server, tmp_path):
    write_ticker(tmp_path, schedule="0 0 1 1 *")
    replicas()
    wait_until(lambda: server.redis.exists("bull:schedule-ticker:repeat:ticker"), 20)

    async def schedulers():
        client = redis.asyncio.Redis(unix_socket_path=server.socket, decode_responses=True, socket_timeout=None)
        found = await Queue("schedule-ticker", {"connection": client}).getJobSchedulers()
        await client.aclose()
        return found

    (found,) = asyncio.run(schedulers())
    assert (found["key"], found["name"], found["pattern"], found["tz"]) == ("ticker", "ticker", "0 0 1 1 *", "UTC")


def test_list_and_validate(tmp_path):
    folder = tmp_path / "functions"
    write_ticker(tmp_path, schedule="*/5 8-18 * * MON-FRI", timezone="Europe/Berlin")
    listed = ferry("list", "--json", "--functions", folder, "--data", tmp_path / "data")
    (row,) = json.loads(listed.stdout)
    assert (row["trigger"], row["schedule"], row["timezone"]) == ("schedule", "*/5 8-18 * * MON-FRI", "Europe/Berlin")
    assert row["concurrency"] == 1 and row["timeout"] == "130s"
    table = ferry("list", "--functions", folder, "--data", tmp_path / "data").stdout
    assert "*/5 8-18 * * MON-FRI (Europe/Berlin)" in table
    assert ferry("validate", "--functions", folder).returncode == 0

    write_function(
        folder, "bad", '{\n  "schedule": "61 * * FEB-JAN *",\n  "timezone": "Nowhere",\n  "queueLimit": 3\n}',
        TICKER.replace("BODY", ""))
    write_function(folder, "none", {"schedule": "0 0 30 2 *"}, TICKER.replace("BODY", ""))
    write_function(folder, "two", {"schedule": "@daily", "http": "GET /two"}, TICKER.replace("BODY", ""))
    write_function(folder, "wrong", {"schedule": "@daily"}, "import FunctionKit\n\nstruct Wrong {}\n")
    write_function(
        folder, "worker", {"queue": "schedule-ticker", "on": "process"},
        "import FunctionKit\n\nstruct Worker: QueueFunction {\n    func process(_ job: QueueJob<String>, _ context: Context)"
        " async throws -> Nothing { Nothing() }\n}\n")
    report = ferry("validate", "--functions", folder)
    assert report.returncode == 1
    text = report.stdout + report.stderr
    for expected in [
        r'bad/function\.json:2:15: schedule is wrong: minutes "61" is out of 0…59',
        r'bad/function\.json:2:15: schedule is wrong: month "FEB-JAN" runs backwards',
        r"bad/function\.json:3:15: timezone must be a time zone",
        r"bad/function\.json:4:17: queueLimit has a meaning only with",
        r"none/function\.json:1:14: schedule is wrong: no month of the pattern has a day",
        r'two/function\.json:1:\d+: schedule cannot stand beside "http"',
        r"wrong/function\.json.*ScheduledFunction",
        r'worker/function\.json.*"schedule-ticker" is already that of ticker',
    ]:
        assert re.search(expected, text), (expected, text)
