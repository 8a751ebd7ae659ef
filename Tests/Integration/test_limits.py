"""Budgets: exact over several processes, told in the answers, given back for what came to nothing."""

import concurrent.futures
import http.client
import signal
import threading
import time

import jwt
import pytest

from conftest import SOAK, WAYS, each_way
from identities import bearer
from queues import RedisServer
from support import wait_until
from test_functions import write_function

SECRET = "a secret of a test that is long enough"
IDENTITY = {"mode": "jwt", "jwt": {"secret": SECRET}}
BODY = {"file_ids": [10_001]}


def caller(sub):
    return bearer(jwt.encode({"sub": sub, "exp": time.time() + 600}, SECRET, "HS256"))


def initiate(host, headers, body=BODY):
    return host.client.post("/v1/download/initiate", body, headers=headers)


def test_at_a_limit_of_10_exactly_10_of_many_get_through_two_processes(make_host):
    budgets = {"writes": {"count": 1_000_000}}
    config = {"identity": IDENTITY, "limits": {"budgets": budgets}}
    hosts = [make_host(config=config, args=way) for way in WAYS.values()]
    count = 1000 if SOAK else 100
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda index: initiate(hosts[index % 2], caller("alice")), range(count)))
    accepted = [answer for answer in answers if answer.status == 202]
    assert len(accepted) == 10
    assert sorted(int(answer.headers["ratelimit-remaining"]) for answer in accepted) == list(range(10))
    for answer in answers:
        assert answer.headers["ratelimit-limit"] == "10"
        if answer.status != 202:
            assert (answer.status, answer.json()["code"]) == (429, "rate_limited")
            assert 3500 < int(answer.headers["retry-after"]) <= 3600
            assert answer.headers["ratelimit-remaining"] == "0"
            assert answer.headers["ratelimit-reset"] == answer.headers["retry-after"]
    # It is alice's budget alone.
    assert initiate(hosts[0], caller("bob")).status == 202


@each_way
def test_what_is_refused_as_wrong_takes_nothing_of_a_users_budget(make_host, way):
    host = make_host(config={"identity": IDENTITY}, args=way)
    for _ in range(12):
        assert initiate(host, caller("alice"), {"file_ids": []}).status == 400
    statuses = [initiate(host, caller("alice")).status for _ in range(11)]
    assert statuses == [202] * 10 + [429]
    # Of the address it does: 12 and 10 of its 100 a minute; what was turned away took nothing.
    answer = host.client.post("/v1/download/check", {"file_id": 10_001}, headers=caller("bob"))
    assert answer.headers["ratelimit-limit"] == "100"
    assert int(answer.headers["ratelimit-remaining"]) == 100 - 23


def test_a_window_ends(make_host):
    budgets = {"reads": {"count": 3, "window": "1s"}}
    host = make_host(config={"identity": IDENTITY, "limits": {"budgets": budgets}})

    def read():
        return host.client.get("/v1/download/job/00000000-0000-4000-8000-000000000000", headers=caller("alice"))

    assert [read().status for _ in range(4)] == [404, 404, 404, 429]
    assert read().headers["retry-after"] == "1"
    wait_until(lambda: read().status == 404, 10)


SLOW = """import FunctionKit

struct Slow: HTTPFunction {
    func handle(_ request: Request, _ context: Context) async throws -> Response {
        guard let time = request.queryParameter("ms").flatMap(Int.init) else { return .text("done") }
        try await Task.sleep(for: .milliseconds(time))
        throw HTTPError(.conflict, message: "It came to nothing.")
    }
}
"""


def test_what_comes_to_nothing_goes_back_to_its_own_window_alone(make_host, tmp_path):
    manifest = {"http": "GET /slow", "auth": "user", "rateLimit": "few"}
    write_function(tmp_path / "functions", "slow", manifest, SLOW)
    budgets = {"few": {"per": "user", "count": 2, "window": "2s"}}
    server = RedisServer(tmp_path / "redis")
    try:
        host = make_host(
            functions=tmp_path / "functions",
            config={"identity": IDENTITY, "limits": {"budgets": budgets}, "redis": {"url": server.url}})

        def get(query=""):
            return host.client.get(f"/slow{query}", headers=caller("alice")).status

        # Within its window it does go back.
        assert [get("?ms=1") for _ in range(4)] == [409] * 4
        counter = "ferry:limit:few:user:alice"
        wait_until(lambda: not server.client.exists(counter), 10)
        late = []
        thread = threading.Thread(target=lambda: late.append(get("?ms=2600")))
        thread.start()
        wait_until(lambda: server.client.exists(counter), 10)
        wait_until(lambda: not server.client.exists(counter), 10)
        assert [get(), get()] == [200, 200]
        thread.join(20)
        assert late == [409]
        left = server.client.pttl(counter)
        assert get() == 429 or left < 200
        assert int(server.client.hget(counter, "used") or 2) == 2
        assert host.stop() == 0
    finally:
        server.stop()


@each_way
@pytest.mark.parametrize("failure", ["open", "closed"])
def test_without_redis_nothing_is_limited_or_nothing_is_let_in(make_host, tmp_path, failure, way):
    server = RedisServer(tmp_path / "redis")
    try:
        config = {
            "identity": IDENTITY, "limits": {"onStoreFailure": failure, "budgets": {"jobs": {"count": 1}}},
            "redis": {"url": server.url, "commandTimeout": "1s"},
        }
        host = make_host(config=config, args=way)
        assert [initiate(host, caller("alice")).status for _ in range(2)] == [202, 429]
        server.stop(signal.SIGKILL)
        answers = [initiate(host, caller("alice")) for _ in range(2)]
        if failure == "open":
            assert [answer.status for answer in answers] == [202, 202]
            assert answers[0].headers["ratelimit-limit"] is None
        else:
            assert [(answer.status, answer.json()["code"]) for answer in answers] == [(503, "service_unavailable")] * 2
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        server.start()
        # The counter was in the append-only file.
        wait_until(lambda: initiate(host, caller("alice")).status == 429, 30)
        assert host.stop() == 0
    finally:
        server.stop(signal.SIGKILL)


@each_way
def test_so_many_streams_of_an_address_are_open_at_once(make_host, way):
    budgets = {"streams": {"count": 2}}
    host = make_host(config={"identity": IDENTITY, "limits": {"budgets": budgets}}, args=way)
    job = initiate(host, caller("alice"), {"file_ids": list(range(10_000, 11_000))}).json()["jobId"]

    def open_socket():
        connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
        connection.request("GET", f"/v1/download/subscribe/{job}", headers={
            **caller("alice"), "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        })
        return connection, connection.getresponse().status

    # A socket stays until its client has answered the close frame, however soon its job ends.
    opened = [open_socket() for _ in range(3)]
    assert [status for _, status in opened] == [101, 101, 429]
    for connection, _ in opened:
        connection.close()

    def is_free():
        connection, status = open_socket()
        connection.close()
        return status == 101

    wait_until(is_free, 20)


def test_without_identities_nothing_is_limited_unless_asked_for(make_host):
    host = make_host()
    answers = [initiate(host, {}) for _ in range(12)]
    assert {answer.status for answer in answers} == {202}
    assert answers[0].headers["ratelimit-limit"] is None
    limited = make_host(config={"limits": {"enabled": True, "budgets": {"writes": {"count": 2}}}})
    assert [initiate(limited, {}).status for _ in range(3)] == [202, 202, 429]


def test_a_budget_that_the_configuration_lacks_is_refused_at_the_start(make_host, tmp_path):
    folder = tmp_path / "functions" / "hello"
    folder.mkdir(parents=True)
    (folder / "function.json").write_text('{"http": "GET /hello", "rateLimit": "sums"}')
    (folder / "Hello.swift").write_text(
        "import FunctionKit\n\nstruct Hello: HTTPFunction {\n"
        "    func handle(_ request: Request, _ context: Context) async throws -> Response { .text(\"\") }\n}\n"
    )
    host = make_host(functions=tmp_path / "functions", wait=False)
    assert host.process.wait(120) != 0
    assert 'hello: rateLimit names the budget "sums", which limits.budgets lacks' in host.text()


@pytest.mark.parametrize("origin", ["https://app.example"])
def test_a_preflight_is_never_limited(make_host, origin):
    config = {"limits": {"enabled": True, "budgets": {"writes": {"count": 1}}}, "cors": {"origins": [origin]}}
    host = make_host(config=config)
    headers = {"origin": origin, "access-control-request-method": "POST"}
    for _ in range(5):
        assert host.client.request("OPTIONS", "/v1/download/check", headers=headers).status == 204
    answer = host.client.post("/v1/download/check", {"file_id": 10_001}, headers={"origin": origin})
    assert answer.status == 200 and "RateLimit-Remaining" in answer.headers["access-control-expose-headers"]
