"""`ferry doctor`: what it finds well and what not, with servers that are wrong on purpose."""

import json
import os
import socket
import subprocess

import pytest
from conftest import FERRY
from support import wait_until
from test_functions import handler, write_function


@pytest.fixture
def functions(tmp_path):
    folder = tmp_path / "functions"
    write_function(folder, "one", {"http": "GET /one"}, handler('return .text("1")'))
    return folder


@pytest.fixture
def redis(tmp_path_factory):
    """Starts redis-servers with the given options; gives their URLs."""
    started = []

    def start(*options):
        path = tmp_path_factory.mktemp("r") / "redis.sock"
        process = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", *options],
                                   stdout=subprocess.DEVNULL, cwd=path.parent)
        started.append(process)

        def answers():
            with socket.socket(socket.AF_UNIX) as probe:
                return probe.connect_ex(str(path)) == 0

        wait_until(answers, 20)
        return f"unix:{path}"

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def doctor(tmp_path, functions, config=None, status=0, arguments=("--json",)):
    path = tmp_path / "doctor.json"
    path.write_text(json.dumps(config or {}))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "REDIS_"))}
    run = subprocess.run([FERRY, "doctor", "--functions", functions, "--data", tmp_path / "data", "--config", path,
                          *arguments], capture_output=True, text=True, timeout=60, env=environment)
    assert run.returncode == status, run.stdout + run.stderr
    if "--json" not in arguments:
        return run.stdout
    found = {}
    for finding in json.loads(run.stdout):
        found.setdefault(finding["check"], []).append(finding)
    return found


def states(found):
    return {check: {each["status"] for each in findings} for check, findings in found.items()}


def test_all_is_well_beside_a_host_on_the_embedded_default(make_host, tmp_path, functions):
    host = make_host(functions=functions)
    found = doctor(tmp_path, functions)
    assert states(found).items() >= {
        "compiler": {"ok"}, "functions": {"ok"}, "configuration": {"ok"}, "redis": {"ok"}, "redis memory": {"ok"},
        "redis persistence": {"ok"}, "storage": {"ok"}, "clock": {"ok"}, "library": {"ok"}}.items(), found
    libraries = " ".join(each["detail"] for each in found["library"])
    assert all(name in libraries for name in ("zlib 1", "libdeflate", "hiredis", "OpenSSL", "SQLite 3"))
    assert len(found["clock"]) == 2
    assert "put, presigned get, delete" in found["storage"][0]["detail"]
    assert host.s3().list_objects_v2(Bucket=host.bucket).get("KeyCount") == 0


def test_without_a_host_it_tells_what_one_would_start(tmp_path, functions):
    found = doctor(tmp_path, functions)
    assert "a host starts /" in found["redis"][0]["detail"] and "a host starts" in found["storage"][0]["detail"]
    found = doctor(tmp_path, functions, {"redis": {"server": "/nowhere/redis-server"}}, status=1)
    assert found["redis"][0]["status"] == "failed" and "redis.server" in found["redis"][0]["mend"]


def test_a_redis_that_evicts_has_failed(tmp_path, functions, redis):
    config = {"redis": {"url": redis("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")}}
    found = doctor(tmp_path, functions, config, status=1)
    assert found["redis memory"][0]["status"] == "failed" and "noeviction" in found["redis memory"][0]["mend"]
    assert found["redis persistence"][0]["status"] == "warning"
    text = doctor(tmp_path, functions, config, status=1, arguments=())
    assert "failed   redis memory" in text and "-> CONFIG SET maxmemory-policy noeviction" in text
    unlimited = {"redis": {"url": redis("--maxmemory-policy", "volatile-lru", "--appendonly", "yes")}}
    found = doctor(tmp_path, functions, unlimited)
    assert found["redis memory"][0]["status"] == "warning" and found["redis persistence"][0]["status"] == "ok"


def test_servers_that_are_not_there(tmp_path, functions):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        # It accepts and never answers.
        found = doctor(tmp_path, functions, {
            "redis": {"url": f"redis://127.0.0.1:{port}"},
            "storage": {"endpoint": f"http://127.0.0.1:{port}", "accessKeyID": "a", "secretAccessKey": "b"},
        }, status=1)
    assert states(found).items() >= {"redis": {"failed"}, "storage": {"failed"}}.items()
    assert "REDIS_URL" in found["redis"][0]["mend"] and "storage.endpoint" in found["storage"][0]["mend"]


def test_wrong_credentials_of_the_store(make_host, tmp_path, functions):
    host = make_host(functions=functions)
    known = host.credentials()
    storage = {"endpoint": known["endpoint"], "bucket": known["bucket"], "accessKeyID": known["accessKeyId"]}
    found = doctor(tmp_path, functions, {"storage": storage | {"secretAccessKey": "wrong"}}, status=1)
    assert found["storage"][0]["status"] == "failed" and "credentials" in found["storage"][0]["mend"]
    good = storage | {"secretAccessKey": known["secretAccessKey"]}
    assert doctor(tmp_path, functions, {"storage": good})["storage"][0]["status"] == "ok"
    # Clients could not fetch what the host hands out.
    found = doctor(tmp_path, functions, {"storage": good | {"publicEndpoint": "http://127.0.0.1:1"}}, status=1)
    assert "publicEndpoint" in found["storage"][0]["mend"]


def test_wrong_functions_and_configuration(tmp_path, functions):
    (functions / "one" / "function.json").write_text('{"http": "GET"}')
    found = doctor(tmp_path, functions, status=1)
    assert "one/function.json:1:" in found["functions"][0]["detail"]
    found = doctor(tmp_path, functions, {"redis": {"urk": 1}}, status=1)
    assert "urk" in found["configuration"][0]["detail"] and "redis" not in found


def warnings(found, check):
    return [each["detail"] for each in found.get(check, []) if each["status"] != "ok"]


def test_who_may_call_and_who_may_read_the_secrets(tmp_path, functions):
    found = doctor(tmp_path, functions)
    assert states(found).items() >= {"identity": {"ok"}, "secrets": {"ok"}}.items()
    found = doctor(tmp_path, functions, {"http": {"listen": ["0.0.0.0:80"]}})
    assert "0.0.0.0:80" in warnings(found, "identity")[0]
    header = {"identity": {"mode": "header"}}
    found = doctor(tmp_path, functions, header, status=1)
    assert "needs http.trustedProxies" in found["configuration"][0]["detail"]
    found = doctor(tmp_path, functions, header | {"http": {"trustedProxies": ["0.0.0.0/0"]}}, status=1)
    assert found["identity"][0]["status"] == "failed"
    (tmp_path / "secret").write_text("x" * 40)
    secret = {"file": str(tmp_path / "secret")}
    (tmp_path / "secret").chmod(0o644)
    config = {"identity": {"mode": "jwt", "jwt": {"secret": secret}}, "http": {"listen": ["0.0.0.0:80"]}}
    found = doctor(tmp_path, functions, config)
    assert "identity.jwt.secret" in warnings(found, "secrets")[0] and "clear text" in warnings(found, "tls")[0]
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data").chmod(0o700)
    (tmp_path / "data" / "admin.token").write_text("x" * 40)
    (tmp_path / "secret").chmod(0o600)
    found = doctor(tmp_path, functions, config)
    assert len(warnings(found, "secrets")) == 1 and "admin.token" in warnings(found, "secrets")[0]


def test_the_certificates_end(tmp_path, functions):
    def check(days, status=0):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
             "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem"), "-subj", "/CN=test"],
            check=True, capture_output=True)
        tls = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}
        return doctor(tmp_path, functions, {"http": {"tls": tls}}, status)["certificate"][0]

    assert check(90)["status"] == "ok" and "90 days" in check(90)["detail"]
    assert check(3)["status"] == "warning" and "SIGHUP" in check(3)["mend"]
    tls = {"certificate": str(tmp_path / "none"), "key": str(tmp_path / "key.pem")}
    assert doctor(tmp_path, functions, {"http": {"tls": tls}}, 1)["certificate"][0]["status"] == "failed"
