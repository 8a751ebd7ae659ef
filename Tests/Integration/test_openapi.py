"""The interface's document: it is OpenAPI, it is what the functions do, and nobody who goes by it is surprised."""

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import jsonschema
import jwt
import openapi_spec_validator
import pytest

from conftest import ROOT, SOAK

SECRET = "openapi-openapi-openapi-openapi-openapi"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
HOST_PATHS = {"/health", "/health/liveness", "/health/readiness", "/openapi.json", "/docs"}


def resolve(document, value):
    while "$ref" in value:
        found = document
        for part in value["$ref"].split("/")[1:]:
            found = found[part.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


def check(document, method, template, answer):
    """Holds an answer against what the document says of it."""
    operation = document["paths"][template][method.lower()]
    where = f"{method} {template} {answer.status}"
    assert str(answer.status) in operation["responses"], f"{where} is not in the document: {answer.body}"
    told = resolve(document, operation["responses"][str(answer.status)])
    for name, field in told.get("headers", {}).items():
        field = resolve(document, field)
        assert not field.get("required") or answer.headers.get(name), f"{where} lacks {name}"
    if not answer.body:
        assert answer.status in (204, 304), where
        return
    media = answer.headers["content-type"].split(";")[0]
    assert media in told["content"], f"{where} has {media}"
    if media != "application/json":
        return
    schema = {"components": document["components"], **told["content"][media]["schema"]}
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    problems = [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(answer.json())]
    assert not problems, f"{where}: {problems}"


@pytest.fixture(scope="module")
def document(host):
    answer = host.client.get("/openapi.json")
    assert answer.status == 200
    return answer.json()


def test_the_document_is_openapi_3_1_and_names_every_route(document):
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1.")
    served = set()
    for file in (ROOT / "functions").glob("*/function.json"):
        manifest = json.loads(file.read_text())
        route = manifest.get("http") or manifest.get("sse") or manifest.get("websocket")
        if route:
            served.add(re.sub(r":(\w+)", r"{\1}", route.split(" ")[-1]))
    assert set(document["paths"]) == served | HOST_PATHS


def test_every_schema_is_one(document):
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema), name


def test_what_is_known_is_304_and_other_methods_405(host):
    for path in ("/openapi.json", "/docs"):
        first = host.client.get(path)
        again = host.client.request("GET", path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert host.client.post(path, {}).status == 405


def test_the_page_may_run_its_own_script_and_nothing_else(host):
    answer = host.client.get("/docs")
    page, policy = answer.body.decode(), answer.headers["content-security-policy"]
    for tag in ("script", "style"):
        text = re.search(f"<{tag}>(.*?)</{tag}>", page, re.S)[1]
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy and "default-src 'none'" in policy
    assert not re.search(r"https?://|\son\w+=|style=", page)


def test_answers_are_as_the_document_says(host, document):
    seen = set()

    def call(method, template, body=None, path=None, **options):
        path = path or template
        answer = host.client.request(method, path, body, **options)
        check(document, method, template, answer)
        seen.add((method.lower(), template, answer.status))
        return answer

    job, stored = "/v1/download/job/{jobId}", "/v1/download/job/"
    for path in HOST_PATHS | {"/"}:
        call("GET", path)
    call("GET", "/", headers={"accept": "text/html"})
    key = host.s3()
    host.s3().put_object(Bucket=host.bucket, Key="downloads/71000.zip", Body=b"x" * 10)
    for path in ("check", "start"):
        for ids in (71_000, 99_999_999):
            assert call("POST", f"/v1/download/{path}", {"file_id": ids}).status == 200
        assert call("POST", f"/v1/download/{path}", {"file_id": "1"}).status == 400
        assert call("POST", f"/v1/download/{path}", {"file_id": 1}, headers={"content-type": "text/plain"}).status == 415
    start = "/v1/download/initiate"
    made = call("POST", start, {"file_ids": [71_000], "archive_name": "../"}, headers={"idempotency-key": "openapi"})
    assert made.status == 202
    assert call("POST", start, {"file_ids": [71_001]}, headers={"idempotency-key": "openapi"}).status == 422
    assert call("POST", start, {"file_ids": []}).status == 400
    assert call("POST", start, {"file_ids": [71_000]}, headers={"content-type": "text/plain"}).status == 415
    done = made.json()["jobId"]
    call("GET", job, path=stored + done)
    host.client.finished(done)
    answer = call("GET", job, path=f"{stored}{done}?wait=1")
    assert call("GET", job, path=stored + done, headers={"if-none-match": answer.headers["etag"]}).status == 304
    url = job + "/download-url"
    assert call("GET", url, path=f"{stored}{done}/download-url").status == 200
    assert call("POST", job + "/ticket", path=f"{stored}{done}/ticket").status == 200
    assert call("POST", job + "/retry", path=f"{stored}{done}/retry").status == 409
    stream = "/v1/download/stream/{jobId}"
    assert call("GET", stream, path=f"/v1/download/stream/{done}").status == 200
    assert call("GET", stream, path=f"/v1/download/stream/{done}?since=9999999999999999").status == 204
    assert call("GET", "/v1/download/jobs", path="/v1/download/jobs?limit=1").json()["jobs"]
    for query in ("limit=0", "status=lost", "cursor=x"):
        assert call("GET", "/v1/download/jobs", path=f"/v1/download/jobs?{query}").status == 400
    assert call("DELETE", job, path=stored + done).json()["status"] == "expired"
    assert call("DELETE", job, path=stored + done).status == 409
    assert call("GET", url, path=f"{stored}{done}/download-url").status == 410
    assert call("POST", job + "/retry", path=f"{stored}{done}/retry").status == 202
    for template, methods in document["paths"].items():
        for method in set(methods) & {"get", "post", "delete"}:
            if "{jobId}" not in template:
                continue
            for name, status in ((UNKNOWN, 404), ("x", 400)):
                wanted = 426 if "subscribe" in template else status
                assert call(method.upper(), template, path=template.replace("{jobId}", name)).status == wanted
    told = {
        (method, template, int(status))
        for template, item in document["paths"].items() if template not in HOST_PATHS
        for method, operation in item.items() if method in ("get", "post", "delete")
        for status, answer in operation["responses"].items()
        if int(status) not in (101, 408, 413, 414, 417, 431, 500, 501, 503, 504, 505)
    }
    # Left out: what needs a stranger's page, a race, or no parameters that could be wrong.
    rest = {(m, t, s) for m, t, s in told - seen if s not in (400, 403, 404)}
    assert rest <= {("get", "/v1/download/job/{jobId}/download-url", 409)}, rest


@pytest.mark.parametrize("args", [(), ("--isolate",)], ids=["one process", "isolated"])
def test_only_what_is_served_is_told(make_host, args):
    host = make_host(args=("--only", "check,jobs", *args))
    document = host.client.get("/openapi.json").json()
    openapi_spec_validator.validate(document)
    assert set(document["paths"]) - HOST_PATHS == {"/v1/download/check", "/v1/download/jobs"}
    told = document["paths"]["/v1/download/check"]["post"]["responses"]
    assert ("502" in told) == bool(args)


def test_the_documents_can_be_switched_off(make_host):
    host = make_host(config={"openapi": {"enabled": False}}, args=("--only", "check"))
    assert [host.client.get(path).status for path in ("/openapi.json", "/docs")] == [404, 404]


def run_schemathesis(host, folder, *args):
    size = ["--max-examples", "200"] if SOAK else ["--max-examples", "6"]
    command = [
        str(pathlib.Path(sys.executable).parent / "schemathesis"),
        "--config-file", str(pathlib.Path(__file__).with_name("schemathesis.toml")),
        "run", f"{host.url}/openapi.json", "--phases", "coverage,fuzzing,stateful", "--checks", "all", "--seed", "20260101",
        # A job that was given up stays on record: DELETE changes its state.
        "--exclude-checks", "use_after_free", *size, "--request-timeout", "30", "--suppress-health-check", "all", "--no-color", *args,
    ]
    environment = dict(
        os.environ, SCHEMATHESIS_HOOKS="schemathesis_hooks", PYTHONPATH=str(pathlib.Path(__file__).parent))
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600 if SOAK else 240, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]


def test_schemathesis_finds_nothing(make_host, tmp_path):
    run_schemathesis(make_host(), tmp_path)


def test_schemathesis_finds_nothing_where_callers_have_tokens(make_host, tmp_path):
    host = make_host(
        config={"identity": {"mode": "jwt"}, "limits": {"enabled": False}}, env={"FERRY_JWT_SECRET": SECRET})
    openapi_spec_validator.validate(host.client.get("/openapi.json").json())
    token = jwt.encode({"sub": "alice", "exp": time.time() + 7200}, SECRET, "HS256")
    run_schemathesis(host, tmp_path, "--header", f"Authorization: Bearer {token}")
