"""Presigned URLs as botocore makes them, with its clock stopped: the oracle of ObjectStorage's presigner.

    python3 Tests/Integration/test_presign.py     writes Tests/ObjectStorageTests/Fixtures/presigned.json

The Swift tests compare the presigner with that file; the test below, that the file is still what botocore says.
"""

import datetime
import functools
import json
import pathlib
import re
import urllib.parse
from unittest import mock

import botocore.auth
import botocore.config
import botocore.session

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "ObjectStorageTests" / "Fixtures" / "presigned.json"

NOW = datetime.datetime(2026, 2, 28, 23, 59, 58)
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEA//////////wEaCXVzLWVhc3QtMSJI+token/with=every&awkward?char=="

KEYS = [
    "plain.zip", "with space.zip", " leading space", "trailing space ", "two  spaces", "plus+plus", "+", "%", "100%",
    "%20", "%2F", "%zz", "a%2Fb", "percent%25encoded", "~tilde~", "star*star", "it's", "\"quoted\"", "(round)",
    "[square]", "{curly}", "<angle>", "a&b=c", "question?mark", "hash#mark", "at@sign", "colon:semi;comma,", "back\\slash",
    "pipe|caret^tick`", "bang!dollar$", "equals=", "tab\tkey", "newline\nkey", "\x7f", "\x01", "a/b/c", "a//b", "a///b",
    "/leading", "//leading", "trailing/", "trailing//", ".", "..", "./a", "../a", "a/./b", "a/../b", "a/..", "...",
    ".hidden", "-dash_under.dot", "ümlaut.zip", "naïve café", "日本語.zip", "файл", "😀.zip", "e\u0301 combining",
    "\u202ertl", "\u00a0nbsp", "\ufeffbom", "a" * 900, "ü" * 450, "x/" * 450, "%" * 300, "downloads/70000.zip",
    "archives/0f0e2b6e-6d1a-4a53-9c55-3f7a1d2b9c01/1.zip", "UPPER/lower/MiXeD", "0", "index.html?versionId=3",
    "key&X-Amz-Expires=1", "soft\u00adhyphen", "null\u2400symbol", "a b+c%d/e~f*g'h\"i(j)k!l",
]

FILE_NAMES = [
    "archive.zip", "two words.zip", "it's.zip", "\"quoted\".zip", "percent%41.zip", "ümlaut.zip", "日本語.zip", "😀.zip",
    "semi;colon,comma.zip", "back\\slash/and/slash.zip", "new\nline\r.zip", "",
]

# (endpoint, bucket, addressing, region)
PLACES = [
    ("http://127.0.0.1:9000", "bucket", "path", "us-east-1"),
    ("https://minio.example.org", "my-bucket", "path", "eu-central-1"),
    ("https://minio.example.org:8443", "my-bucket", "virtualHost", "eu-central-1"),
    ("http://store.example.org:80", "dotted.bucket", "virtualHost", "us-east-1"),
    ("https://store.example.org:443", "my-bucket", "virtualHost", "us-east-1"),
    ("http://[::1]:9000", "bucket", "path", "us-east-1"),
    ("https://s3.eu-west-2.amazonaws.com", "my-bucket", "virtualHost", "eu-west-2"),
]


def disposition(name):
    """RFC 6266 with the ASCII name for old clients; what is unsafe in a name or a field becomes an underscore."""
    safe = "".join("_" if ord(c) < 32 or 127 <= ord(c) <= 159 or c in "/\\" else c for c in name)
    plain = "".join(c if ord(c) < 128 and c not in "\"%" else "_" for c in safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{urllib.parse.quote(safe, safe='-._~')}"


@functools.lru_cache(maxsize=None)
def client_for(place, token):
    endpoint, _, addressing, region = place
    session = botocore.session.Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY, token)
    return session.create_client(
        "s3", region_name=region, endpoint_url=endpoint,
        config=botocore.config.Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if addressing == "path" else "virtual"},
            request_checksum_calculation="when_required", response_checksum_validation="when_required"))


def presign(place, key, method="get_object", expires=3600, token=None, parameters=None):
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: NOW):
        return client_for(place, token).generate_presigned_url(
            method, Params={"Bucket": place[1], "Key": key, **(parameters or {})}, ExpiresIn=expires)


def case(place, key, method="GET", expires=3600, token=None, file_name=None):
    operation = {"GET": "get_object", "PUT": "put_object", "DELETE": "delete_object"}[method]
    parameters = {} if file_name is None else {"ResponseContentDisposition": disposition(file_name)}
    endpoint, bucket, addressing, region = place
    return {
        "endpoint": endpoint, "bucket": bucket, "addressing": addressing, "region": region, "key": key,
        "method": method, "expiresSeconds": expires, "sessionToken": token, "fileName": file_name,
        "disposition": parameters.get("ResponseContentDisposition"),
        "url": presign(place, key, operation, expires, token, parameters),
    }


def fixture():
    cases = [case(PLACES[0], key) for key in KEYS]
    cases += [case(PLACES[6], key, token=TOKEN) for key in KEYS]
    cases += [case(place, "a b/../c//d+e.zip") for place in PLACES]
    cases += [case(PLACES[1], "archive.zip", token=TOKEN, file_name=name) for name in FILE_NAMES]
    cases += [case(PLACES[2], "archive.zip", expires=expires) for expires in (1, 60, 604_800)]
    cases += [case(PLACES[2], "archive.zip", method=method) for method in ("PUT", "DELETE")]
    return {
        "timestampMs": int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000),
        "accessKeyID": ACCESS_KEY, "secretAccessKey": SECRET_KEY, "cases": cases,
    }


def text():
    return json.dumps(fixture(), indent=1, ensure_ascii=True, sort_keys=True) + "\n"


def test_committed_fixture_is_what_botocore_says():
    assert len(set(KEYS)) >= 60
    assert FIXTURE.read_text(encoding="ascii") == text()


def test_fixture_covers_what_it_claims():
    urls = [item["url"] for item in json.loads(FIXTURE.read_text(encoding="ascii"))["cases"]]
    assert any("X-Amz-Security-Token=" in url for url in urls)
    assert any("response-content-disposition=" in url for url in urls)
    assert any(url.startswith("https://my-bucket.s3.eu-west-2.amazonaws.com/") for url in urls)
    assert all(re.search(r"X-Amz-Signature=[0-9a-f]{64}", url) for url in urls)


if __name__ == "__main__":
    FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    FIXTURE.write_text(text(), encoding="ascii")
    print(f"{FIXTURE}: {len(fixture()['cases'])} cases")
