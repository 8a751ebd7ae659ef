"""One user's many jobs do not hold up another one's, and so many of a user's run at once, over all processes."""

import concurrent.futures
import signal
import threading
import time

import pytest
from conftest import SOAK
from queues import RedisServer
from support import FaultProxy, wait_until
from test_main_job import put_sources

BASE = "bull:file-downloads:"
QUEUE = {"lockDuration": "1500ms", "stalledCheck": "500ms", "stalledGate": "400ms", "maxStalledCount": 1000}
IDENTITY = {
    "identity": {"mode": "header"}, "http": {"trustedProxies": ["127.0.0.1"]}, "limits": {"enabled": False},
}
FILE = 62_001


@pytest.fixture
def server(tmp_path):
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop(signal.SIGKILL)


@pytest.fixture
def slow(ministack):
    """The store, where each read of the file takes a while."""
    put_sources(ministack.s3(), ministack.bucket, {FILE: b"x"})
    proxy = FaultProxy("127.0.0.1", ministack.port)
    yield proxy
    proxy.stop()


@pytest.fixture
def make_hosts(server, make_host, ministack, slow, tmp_path):
    def make(count=2, bound=3, args=(), **downloads):
        config = {
            **IDENTITY, "redis": {"url": server.url}, "queue": {**QUEUE, "maxRunningPerUser": bound},
            "downloads": downloads, "history": {"path": str(tmp_path / "history.sqlite")},
            **ministack.config(slow.endpoint),
        }
        return [make_host(folder=tmp_path / f"host{number}", config=config, args=args) for number in range(count)]

    return make


def user(name):
    return {"x-user-id": name}


def initiate(host, name):
    answer = host.client.post("/v1/download/initiate", {"file_ids": [FILE]}, headers=user(name))
    assert answer.status == 202, answer.body
    return answer.json()["jobId"]


def initiate_many(hosts, name, count):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda number: initiate(hosts[number % len(hosts)], name), range(count)))


def status(host, name, job_id):
    return host.client.get(f"/v1/download/job/{job_id}", headers=user(name)).json()["status"]


class Observer:
    """Follows who runs, by the queue's own list, and in which order jobs are begun, by its events."""

    OWNERS = "local n = {} for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. 'active', 0, -1)) do " \
        "n[#n + 1] = redis.call('HGET', KEYS[1] .. id, 'owner') or '?' end return n"

    def __init__(self, server):
        self.client, self.most, self.stopped = server.client, {}, threading.Event()
        self.client.hset(BASE + "meta", "opts.maxLenEvents", 1_000_000)
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def running(self):
        return self.client.eval(self.OWNERS, 1, BASE)

    def follow(self):
        while not self.stopped.is_set():
            owners = self.running()
            for owner in set(owners):
                self.most[owner] = max(self.most.get(owner, 0), owners.count(owner))
            time.sleep(0.002)

    def stop(self):
        self.stopped.set()
        self.thread.join(10)

    def begun(self):
        return [fields["jobId"] for _, fields in self.client.xrange(BASE + "events") if fields["event"] == "active"]

    def check_bounds(self, bound):
        """The events tell of every moment: no owner has more begun and not left than the bound."""
        running, most = {}, {}
        for _, fields in self.client.xrange(BASE + "events"):
            job = fields.get("jobId")
            owner = self.client.hget(BASE + job, "owner") if job else None
            if not owner:
                continue
            mine = running.setdefault(owner, set())
            if fields["event"] == "active":
                mine.add(job)
            elif fields.get("prev") == "active" or fields["event"] == "delayed":
                mine.discard(job)
            most[owner] = max(most.get(owner, 0), len(mine))
        assert all(count <= bound for count in most.values()), most
        return most


@pytest.fixture
def observer(server):
    observer = Observer(server)
    yield observer
    observer.stop()


def wait_ended(server, count, timeout):
    wait_until(lambda: server.client.zcard(BASE + "completed") >= count, timeout,
               lambda: str({key: server.client.zcard(BASE + key) for key in ("prioritized", "delayed", "completed")}))


@pytest.mark.parametrize("bound", [3, 8])
def test_a_users_many_jobs_do_not_hold_up_another_ones(make_hosts, server, slow, observer, bound):
    count = 1000 if SOAK else 200
    # At a bound of 8 one user may have every place of both processes.
    hosts = make_hosts(bound=bound)
    slow.add("GET", f"/{FILE}", pause=0.02)
    many = initiate_many(hosts, "ann", count)
    assert len(observer.begun()) < count - 20, "all were begun before the other user came"
    bob = initiate(hosts[1], "bob")
    wait_until(lambda: bob in observer.begun(), 30)
    events = [(fields["event"], fields.get("jobId")) for _, fields in server.client.xrange(BASE + "events")]
    queued = events.index(("waiting", bob))
    between = [event for event in events[queued:events.index(("active", bob))] if event[0] == "active"]
    # Those of the present turn.
    assert len(between) <= 3, between
    wait_until(lambda: status(hosts[0], "bob", bob) == "ready", 30)
    wait_ended(server, count + 1, 600 if SOAK else 120)
    assert observer.most["ann"] <= bound
    assert observer.check_bounds(bound)["ann"] == bound
    assert {status(hosts[0], "ann", job) for job in many[:: max(1, count // 20)]} == {"ready"}
    assert not server.client.keys(BASE + "parked*") and server.client.zcard(BASE + "delayed") == 0


def test_a_killed_process_frees_its_users_places(make_hosts, server, slow, observer):
    hosts = make_hosts(bound=2)
    rule = slow.add("GET", f"/{FILE}", pause=60)
    victims = initiate_many([hosts[0]], "ann", 6)
    wait_until(lambda: len(observer.running()) == 2, 30)
    for host in hosts:
        host.kill()
    rule.times = 0
    began = time.monotonic()
    fresh = make_hosts(count=1, bound=2)[0]
    wait_until(lambda: all(status(fresh, "ann", job) == "ready" for job in victims), 60)
    assert time.monotonic() - began < 60
    assert observer.check_bounds(2)["ann"] == 2 and observer.most["ann"] == 2


def test_a_retried_attempt_keeps_its_turn(make_hosts, server, slow, observer):
    count = 60
    hosts = make_hosts(bound=2, retryDelay="300ms")
    slow.add("GET", f"/{FILE}", pause=0.05)
    # The store takes no archive for a while, so the first attempts of some jobs fail.
    fault = slow.add("PUT", "/archives/", times=12, status=503)
    jobs = initiate_many(hosts, "ann", count)
    wait_ended(server, count, 120)
    again = [job for job in jobs if int(server.client.hget(BASE + job, "atm")) > 1]
    assert again, fault.hits
    order = observer.begun()
    last = {job: len(order) - 1 - order[::-1].index(job) for job in again}
    # They did not wait for all the others.
    assert min(last.values()) < len(order) - 15, (last, len(order))
    observer.check_bounds(2)


def test_redis_loses_turns_and_parked_jobs(make_hosts, server, slow, observer):
    hosts = make_hosts(bound=2, reconcileInterval="300ms", reconcileAge="1s", reconcileLease="3s")
    slow.add("GET", f"/{FILE}", pause=0.05)
    jobs = initiate_many(hosts, "ann", 30)
    wait_until(lambda: server.client.zcard(BASE + "delayed") > 10, 30)
    server.client.flushall()
    jobs.append(initiate(hosts[0], "bob"))
    names = ["ann"] * 30 + ["bob"]
    wait_until(lambda: all(status(hosts[0], *pair) == "ready" for pair in zip(names, jobs)), 120)
    assert [server.client.hget(BASE + job, "owner") for job in jobs] == names


def test_a_retry_is_its_owners(make_hosts, server, slow):
    host = make_hosts(count=1, bound=1)[0]
    slow.add("GET", f"/{FILE}", pause=0.5, times=1)
    jobs = initiate_many([host], "ann", 3)
    wait_until(lambda: status(host, "ann", jobs[0]) == "processing", 30)
    cancelled = jobs[-1]
    path = f"/v1/download/job/{cancelled}"
    assert host.client.request("DELETE", path, headers=user("ann")).status == 202
    assert host.client.post(f"{path}/retry", headers=user("ann")).status == 202
    wait_until(lambda: status(host, "ann", cancelled) == "ready", 30)
    assert server.client.hget(BASE + cancelled, "owner") == "ann"
    assert int(server.client.hget(BASE + cancelled, "priority")) > 0
