"""Who calls: tokens, a proxy's word, tickets; whose a job is, on every route and transport."""

import concurrent.futures
import http.client
import json
import time
import uuid

import jwt
import pytest
import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from conftest import WAYS, Host, each_way, stop_private_redis
from identities import Key, KeyServer, bearer, unsigned
from support import wait_until
from watching import open_socket

UNKNOWN = str(uuid.uuid4())
CALLERS = ("owner", "other", "anonymous", "admin")
ROUTES = {
    "status": ("GET", "/v1/download/job/{}"),
    "wait": ("GET", "/v1/download/job/{}?wait=1"),
    "download-url": ("GET", "/v1/download/job/{}/download-url"),
    "ticket": ("POST", "/v1/download/job/{}/ticket"),
    "retry": ("POST", "/v1/download/job/{}/retry"),
    "stream": ("GET", "/v1/download/stream/{}"),
    "subscribe": ("WS", "/v1/download/subscribe/{}"),
    "cancel": ("DELETE", "/v1/download/job/{}"),
}


@pytest.fixture(scope="module")
def keys():
    return {name: Key(name, name) for name in Key.KINDS}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def server(keys, tmp_path_factory, request):
    key_server = KeyServer(*keys.values())
    folder = tmp_path_factory.mktemp("identity")
    host = Host(folder, config={"identity": key_server.config(), "limits": {"enabled": False}}, args=request.param)
    host.s3().put_object(Bucket=host.bucket, Key="downloads/10001.zip", Body=b"a file")
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    stop_private_redis(folder)
    key_server.stop()


@pytest.fixture(scope="module")
def callers(keys):
    key = keys["ES256"]
    return {
        "owner": bearer(key.token("alice", life=3600)), "other": bearer(key.token("bob", life=3600)), "anonymous": {},
        "admin": bearer(key.token("carol", life=3600, role=["reader", "admin"])),
    }


def new_job(host, headers, ids=(10_001,)):
    answer = host.client.post("/v1/download/initiate", {"file_ids": list(ids)}, headers=headers)
    assert answer.status == 202, answer.body
    return answer.json()["jobId"]


def ready(host, job, headers):
    """Waits for the job's end, which must be a good one."""
    def ended():
        status = host.client.get(f"/v1/download/job/{job}", headers=headers).json()["status"]
        return status not in ("queued", "processing") and status

    assert wait_until(ended, 60) == "ready"


def call(host, method, path, headers):
    """The status and the code of an answer; of streams and sockets only the beginning is read."""
    if method == "WS":
        method = "GET"
        headers = {
            **headers, "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = json.loads(answer.read()) if answer.status >= 400 else {}
        return answer.status, body.get("code"), answer.headers, body.get("message")
    finally:
        connection.close()


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_job_is_there_for_its_owner_and_admins_alone(server, callers, route, caller, known):
    job = new_job(server, callers["owner"]) if known else UNKNOWN
    method, path = ROUTES[route]
    status, code, headers, message = call(server, method, path.format(job), callers[caller])
    if caller == "anonymous":
        assert (status, code) == (401, "unauthorized")
        assert headers["www-authenticate"] == 'Bearer realm="ferry"'
    elif not known or caller == "other":
        assert (status, code, message) == (404, "not_found", f"There is no job {job}.")
    else:
        expected = {
            "download-url": {200, 409}, "retry": {202, 409}, "cancel": {202, 409}, "stream": {200, 204}, "subscribe": {101},
        }
        assert status in expected.get(route, {200})


@pytest.mark.parametrize("caller", CALLERS)
def test_what_the_history_alone_knows_is_its_owners_too(server, callers, caller):
    job = new_job(server, callers["owner"])
    ready(server, job, callers["owner"])
    store = redis.Redis(unix_socket_path=str(server.data / "redis" / "redis.sock"), decode_responses=True)
    forgotten = [key for key in store.scan_iter(f"*{job}*")]
    assert forgotten and store.delete(*forgotten) == len(forgotten)
    expected = {"status": 200, "wait": 200, "download-url": 200, "ticket": 200, "stream": 200, "subscribe": 101}
    for route, status in {**expected, "retry": 409, "cancel": 202}.items():
        method, path = ROUTES[route]
        if caller == "anonymous":
            status = 401
        elif caller == "other":
            status = 404
        assert call(server, method, path.format(job), callers[caller])[0] == status, route


def test_everybody_lists_his_own_jobs(server, callers, keys):
    who = {name: bearer(keys["EdDSA"].token(f"{name}-{uuid.uuid4()}")) for name in ("owner", "other")}
    mine = [new_job(server, who["owner"]) for _ in range(3)]
    theirs = new_job(server, who["other"])

    def listed(headers, query=""):
        answer = server.client.get(f"/v1/download/jobs{query}", headers=headers)
        return answer.status == 200 and [job["jobId"] for job in answer.json()["jobs"]]

    assert listed(who["owner"]) == mine[::-1] and listed(who["other"]) == [theirs]
    # A cursor is a place and opens nothing.
    page = server.client.get("/v1/download/jobs?limit=1", headers=who["owner"]).json()
    assert listed(who["other"], f"?cursor={page['nextCursor']}") in ([], [theirs])
    assert not {*mine, theirs} & set(listed(callers["admin"], "?limit=100"))
    assert server.client.get("/v1/download/jobs").status == 401


def test_the_same_idempotency_key_of_two_users_is_two_keys(server, callers):
    key = {"idempotency-key": uuid.uuid4().hex}

    def ask(caller, ids):
        return server.client.post("/v1/download/initiate", {"file_ids": ids}, headers={**callers[caller], **key})

    first, second = ask("owner", [10_001]), ask("other", [10_002])
    assert (first.status, second.status) == (202, 202)
    assert first.json()["jobId"] != second.json()["jobId"]
    assert ask("owner", [10_001]).json() == first.json() and ask("other", [10_002]).json() == second.json()
    assert ask("other", [10_001]).status == 422 and ask("anonymous", [10_001]).status == 401
    path = f"/v1/download/job/{first.json()['jobId']}"
    assert server.client.get(path, headers=callers["other"]).status == 404


def test_messages_reach_nobody_else(server, callers):
    ids = [10_001, *range(20_000, 20_400)]
    jobs = {"owner": new_job(server, callers["owner"], ids), "other": new_job(server, callers["other"], ids)}

    def socket(caller):
        with open_socket(server, jobs[caller], additional_headers=callers[caller]) as client:
            return "".join(client)

    def stream(caller):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        try:
            connection.request("GET", f"/v1/download/stream/{jobs[caller]}", headers=callers[caller])
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        heard = {(caller, watch): pool.submit(watch, caller) for caller in jobs for watch in (socket, stream)}
        # While it runs and is watched, too.
        for route in ("stream", "subscribe", "wait"):
            method, path = ROUTES[route]
            assert call(server, method, path.format(jobs["owner"]), callers["other"])[:2] == (404, "not_found")
    for (caller, _), text in heard.items():
        other = jobs["other" if caller == "owner" else "owner"]
        assert jobs[caller] in text.result() and other not in text.result()


def test_another_users_call_changes_nothing(server, callers):
    job = new_job(server, callers["owner"])
    for route in ("cancel", "retry"):
        method, path = ROUTES[route]
        assert call(server, method, path.format(job), callers["other"])[0] == 404
    ready(server, job, callers["owner"])


@pytest.mark.parametrize("path", ["/v1/download/initiate", "/v1/download/check", "/v1/download/start"])
def test_what_makes_work_needs_a_user(server, callers, path):
    body = {"file_ids": [10_001]} if path.endswith("initiate") else {"file_id": 10_001}
    assert server.client.post(path, body).status == 401
    # A large body is not even read.
    assert server.client.post(path, b"x" * 900_000, headers={"content-type": "application/json"}).status == 401
    assert server.client.post(path, body, headers=callers["owner"]).status in (200, 202)


def test_the_front_door_and_the_hosts_own_routes_are_open(server):
    for path in ("/", "/health", "/health/liveness", "/health/readiness"):
        assert server.client.get(path).status == 200


def test_every_algorithm_of_the_set_is_accepted(server, keys):
    for key in keys.values():
        assert server.client.get(f"/v1/download/job/{UNKNOWN}", headers=bearer(key.token())).status == 404


def bad_tokens(keys):
    rsa_key, ec_key = keys["RS256"], keys["ES256"]
    good = ec_key.token()
    confused = unsigned(rsa_key.token(), alg="HS256", kid="RS256")[:-1]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(confused.encode(), rsa_key.pem)
    return {
        "expired": ec_key.token(life=-1),
        "not yet valid": ec_key.token(nbf=time.time() + 60),
        "wrong issuer": ec_key.token(iss="https://other.test"),
        "no issuer": ec_key.token(iss=None),
        "wrong audience": ec_key.token(aud=["other"]),
        "no audience": ec_key.token(aud=None),
        "no end": ec_key.token(exp=None),
        "no subject": ec_key.token(sub=None),
        "alg none": unsigned(good, alg="none"),
        "alg none with kid": unsigned(good, alg="none", kid="ES256"),
        "HS256 with the RSA public key": confused + "." + jwt.utils.base64url_encode(signature).decode(),
        "unknown kid": ec_key.token(kid="nobody"),
        "another key's kid": ec_key.token(kid="RS256"),
        "a stranger's key": Key("ES256").token(),
        "changed": good[:-6] + ("AAAAAA" if good[-6:] != "AAAAAA" else "BBBBBB"),
        "no token": "x",
    }


CASES = list(bad_tokens({name: Key(name, name) for name in ("RS256", "ES256")}))


@pytest.mark.parametrize("case", CASES)
def test_a_bad_token_is_401_with_the_reason(server, keys, case):
    answer = server.client.get(
        f"/v1/download/job/{UNKNOWN}", headers={"authorization": f"Bearer {bad_tokens(keys)[case]}"}
    )
    assert (answer.status, answer.json()["code"]) == (401, "invalid_token"), case
    assert answer.headers["www-authenticate"].startswith(
        'Bearer realm="ferry", error="invalid_token", error_description="'
    )


def test_a_key_that_is_rotated_in_is_found_and_one_that_is_rotated_out_is_not(make_host):
    old, new = Key("old"), Key("new", "EdDSA")
    key_server = KeyServer(old)
    try:
        host = make_host(config={"identity": key_server.config(refresh="1s"), "limits": {"enabled": False}})
        path = f"/v1/download/job/{UNKNOWN}"

        def status(key):
            return host.client.get(path, headers=bearer(key.token())).status

        assert (status(old), status(new)) == (404, 401)
        key_server.keys = [new]
        wait_until(lambda: status(new) == 404, 20)
        wait_until(lambda: status(old) == 401, 20)
        # However many unknown names come, the keys are asked for seldom.
        before = key_server.count
        began = time.monotonic()
        for _ in range(200):
            assert status(Key("x", "EdDSA")) == 401
        assert key_server.count - before <= 2 + (time.monotonic() - began) / 1
    finally:
        key_server.stop()


LASTING = {
    "listen": ('{"websocket": "/listen", "auth": "user", "executor": "loop"}', """
        struct Listen: WebSocketFunction {
            func handle(_ request: Request, _ upgrade: WebSocketUpgrade, _ context: Context) async throws {
                let socket = try await upgrade.accept()
                try await socket.send(.text(context.user?.id ?? "-"))
                for try await _ in socket {}
            }
        }
    """),
    "follow": ('{"sse": "/follow", "auth": "user"}', """
        struct Follow: StreamFunction {
            func stream(_ request: Request, _ events: EventStream, _ context: Context) async throws {
                try await events.send(ServerSentEvent(context.user?.id ?? "-"))
                try await Task.sleep(for: .seconds(60))
            }
        }
    """),
    "rule": ('{"http": "GET /rule", "auth": "admin"}', """
        struct Rule: HTTPFunction {
            func handle(_ request: Request, _ context: Context) async throws -> Response { .text(context.user?.id ?? "-") }
        }
    """),
}


@pytest.mark.parametrize("verb, way", [("serve", ()), ("serve", ("--isolate",)), ("dev", ())])
def test_what_is_open_ends_with_the_token(make_host, tmp_path, verb, way):
    for name, (manifest, source) in LASTING.items():
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        (folder / "function.json").write_text(manifest)
        (folder / f"{name.title()}.swift").write_text("import FunctionKit\n" + source)
    secret = "a secret of a test that is long enough"
    identity = {"mode": "jwt", "admins": ["root"], "jwt": {"leeway": "0s"}}
    host = make_host(
        functions=tmp_path / "functions", config={"identity": identity}, env={"FERRY_JWT_SECRET": secret},
        verb=verb, args=way,
    )

    def token(sub, life):
        return bearer(jwt.encode({"sub": sub, "exp": time.time() + life}, secret, "HS256"))

    assert host.client.get("/rule", headers=token("alice", 60)).status == 403
    assert host.client.get("/rule", headers=token("root", 60)).body == b"root"
    assert host.client.get("/rule").status == 401

    began = time.monotonic()
    with connect(f"ws://127.0.0.1:{host.port}/listen", additional_headers=token("alice", 2)) as client:
        assert client.recv(timeout=10) == "alice"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (3000, "The token has expired.")
    assert 1.5 < time.monotonic() - began < 10

    began = time.monotonic()
    body = host.client.get("/follow", headers=token("alice", 2)).body
    assert b"data: alice\n" in body
    assert 1.5 < time.monotonic() - began < 10
    assert secret not in host.text() and "eyJ" not in host.text()
    if verb == "dev":
        for line in ("  GET /rule  401", "  rule  GET /rule  200", "  follow  GET /follow  200"):
            assert line in host.text()


def test_a_ticket_opens_its_job_to_its_user_and_is_not_logged(server, callers):
    job, other = (new_job(server, callers["owner"]) for _ in range(2))
    answer = server.client.post(f"/v1/download/job/{job}/ticket", headers=callers["owner"])
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    ticket = answer.json()["ticket"]
    assert 590 <= answer.json()["expiresIn"] <= 600
    for _ in range(2):
        assert call(server, "GET", f"/v1/download/stream/{job}?ticket={ticket}", {})[0] in (200, 204)
        assert call(server, "WS", f"/v1/download/subscribe/{job.upper()}?ticket={ticket}&since=0", {})[0] == 101
    assert call(server, "GET", f"/v1/download/stream/{other}?ticket={ticket}", {})[:2] == (401, "invalid_token")
    assert call(server, "WS", f"/v1/download/subscribe/{other}?ticket={ticket}", {})[0] == 401
    assert call(server, "GET", f"/v1/download/stream/{job}?ticket={ticket}x", {})[0] == 401
    # Elsewhere it says nothing.
    assert call(server, "GET", f"/v1/download/job/{job}?ticket={ticket}", {})[0] == 401
    assert call(server, "DELETE", f"/v1/download/job/{job}?ticket={ticket}", {})[0] == 401
    wait_until(lambda: f"/v1/download/stream/{other}" in server.text())
    assert ticket not in server.text() and ticket[:40] not in server.text()


@each_way
def test_a_proxys_word_counts_when_it_is_trusted(make_host, tmp_path, way):
    config = {"identity": {"mode": "header", "admins": ["root"]}, "http": {"trustedProxies": ["127.0.0.1"]}}
    host = make_host(config=config, args=way)
    job = new_job(host, {"x-user-id": "alice"})
    path = f"/v1/download/job/{job}"
    statuses = [
        host.client.get(path, headers=headers).status
        for headers in ({"x-user-id": "alice"}, {"x-user-id": "bob"}, {"x-user-id": "root"}, {}, {"x-user-id": "a b"})
    ]
    assert statuses == [200, 404, 200, 401, 400]
    config["http"]["trustedProxies"] = ["192.0.2.1"]
    distrustful = make_host(config=config, args=way)
    assert distrustful.client.get(path, headers={"x-user-id": "alice"}).status == 401


@pytest.mark.parametrize("config, reason", [
    ({"identity": {"mode": "jwt"}}, "needs exactly one of identity.jwt.secret"),
    ({"identity": {"mode": "header"}}, "needs http.trustedProxies"),
    ({"identity": {"mode": "jwt", "jwt": {"secret": "short"}}}, "must have at least 32 bytes"),
    ({"identity": {"mode": "jwt", "jwt": {"jwks": "http://keys.test/"}}}, "must be a file's path, or a URL"),
    ({"identity": {"mode": "jwt", "jwt": {"publicKey": "/nowhere"}}}, "/nowhere"),
    ({"limits": {"budgets": {"x": {"count": 1}}}}, "limits.budgets.x.per is required"),
    ({"http": {"tls": {"certificate": "c.pem"}}}, "http.tls.key is required"),
])
def test_a_configuration_that_protects_nothing_is_refused(make_host, config, reason):
    host = make_host(config=config, wait=False)
    assert host.process.wait(60) != 0
    assert reason in host.text()
