"""The local S3 endpoint, as clients that are not ours see it: boto3, curl, and bytes on a socket."""

import base64
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from unittest import mock

import boto3
import botocore.auth
import botocore.config
import botocore.exceptions
import pytest

from conftest import FERRY, SOAK, s3_client
from support import curl, raw, resident_kib, wait_until

MIB = 1 << 20

AWKWARD_KEYS = [
    "plain.zip", "with space", " lead", "trail ", "plus+plus", "percent%25", "100%", "a%2Fb", "~tilde", "star*", "it's",
    "(round)", "[square]", "a&b=c", "q?mark", "hash#mark", "at@sign", "co:lon;", "back\\slash", "a//b", "/leading",
    "//two", "trailing/", ".", "..", "./a", "../../etc/passwd", "a/../b", "...", ".hidden", "naïve", "nai\u0308ve",
    "日本語/ファイル.zip", "😀", "new\nline", "tab\t", "\x01\x7f", "x", "x/y", "x/y/z", "x/", "a" * 900, "ü" * 512,
    "x/" * 400, "%" * 300, "b" * 210 + "/1", "b" * 210 + "-1", "b" * 210,
]


class S3Process:
    """A `ferry s3` process."""

    def __init__(self, folder, *args):
        self.log = open(pathlib.Path(folder) / "s3.log", "ab")
        self.process = subprocess.Popen(
            [FERRY, "s3", "--data", str(pathlib.Path(folder) / "data"), *args], stdout=subprocess.PIPE, stderr=self.log
        )
        self.line = None

    def wait(self, timeout=30):
        reader = threading.Thread(target=lambda: setattr(self, "line", self.process.stdout.readline()))
        reader.start()
        reader.join(timeout)
        assert self.line, f"no endpoint: {pathlib.Path(self.log.name).read_text()}"
        self.found = json.loads(self.line)
        self.endpoint, self.bucket = self.found["endpoint"], self.found["bucket"]
        self.port = urllib.parse.urlsplit(self.endpoint).port
        return self

    def client(self, **options):
        options.setdefault("signature_version", "s3v4")
        return s3_client(
            options.pop("endpoint", self.endpoint), self.found["accessKeyId"], self.found["secretAccessKey"], **options
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        self.log.close()
        return code


@pytest.fixture
def start(tmp_path):
    """Starts processes on one data directory; what a failed test leaves is ended."""
    started = []

    def start(*args):
        started.append(S3Process(tmp_path, *args))
        return started[-1].wait()

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(10)


@pytest.fixture(scope="module")
def s3_endpoint(tmp_path_factory):
    server = S3Process(tmp_path_factory.mktemp("s3")).wait()
    yield server
    assert server.stop() == 0


@pytest.fixture
def s3(s3_endpoint):
    return s3_endpoint.client()


@pytest.fixture
def bucket(s3):
    """A fresh bucket."""
    name = "test-" + os.urandom(6).hex()
    s3.create_bucket(Bucket=name)
    return name


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def status_of(url, method="GET", headers=None, body=None):
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


# Buckets


def test_buckets_are_made_listed_and_removed(s3, bucket):
    assert bucket in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert code_of(s3.create_bucket, Bucket=bucket) == (409, "BucketAlreadyOwnedByYou")
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"1")
    assert code_of(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="a/b")
    s3.delete_bucket(Bucket=bucket)
    assert code_of(s3.head_bucket, Bucket=bucket) == (404, "404")
    assert code_of(s3.list_objects_v2, Bucket=bucket) == (404, "NoSuchBucket")
    assert code_of(s3.put_object, Bucket=bucket, Key="a", Body=b"1") == (404, "NoSuchBucket")


def test_the_configured_bucket_is_there(s3_endpoint, s3):
    s3.head_bucket(Bucket=s3_endpoint.bucket)


# Objects


def test_an_object_comes_back_as_it_was_put(s3, bucket):
    body = os.urandom(3 * MIB + 17)
    put = s3.put_object(
        Bucket=bucket, Key="a b/ü.bin", Body=body, ContentType="application/x-test", ContentDisposition="attachment",
        CacheControl="no-cache", ContentLanguage="de", ContentEncoding="identity", Metadata={"one": "1", "two": "b c"},
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="a b/ü.bin", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert got["ContentLength"] == len(body)
    assert got["ETag"] == put["ETag"]
    assert got["ContentType"] == "application/x-test"
    assert got["ContentDisposition"] == "attachment"
    assert got["CacheControl"] == "no-cache"
    assert got["ContentLanguage"] == "de"
    assert got["ContentEncoding"] == "identity"
    assert got["Metadata"] == {"one": "1", "two": "b c"}
    assert got["ChecksumCRC32"] == crc32(body)
    assert abs(got["LastModified"].timestamp() - time.time()) < 60
    head = s3.head_object(Bucket=bucket, Key="a b/ü.bin", ChecksumMode="ENABLED")
    assert head["ContentLength"] == len(body)
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (crc32(body), "FULL_OBJECT")
    assert "ChecksumCRC32" not in s3.head_object(Bucket=bucket, Key="a b/ü.bin")
    assert code_of(s3.get_object, Bucket=bucket, Key="missing") == (404, "NoSuchKey")
    assert code_of(s3.head_object, Bucket=bucket, Key="missing") == (404, "404")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_checksums_are_verified(s3, bucket, algorithm):
    body = os.urandom(100_000)
    s3.put_object(Bucket=bucket, Key="key", Body=body, ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == body
    wrong = {"CRC32": crc32(b"x"), "SHA1": base64.b64encode(b"x" * 20).decode(), "SHA256": base64.b64encode(b"x" * 32).decode()}
    assert code_of(
        s3.put_object, Bucket=bucket, Key="other", Body=body, **{f"Checksum{algorithm}": wrong[algorithm]}
    ) == (400, "BadDigest")
    assert code_of(s3.head_object, Bucket=bucket, Key="other") == (404, "404")


def test_a_wrong_content_md5_is_refused(s3, bucket):
    good = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", ContentMD5=good)
    assert code_of(s3.put_object, Bucket=bucket, Key="key", Body=b"other", ContentMD5=good) == (400, "BadDigest")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"hello"


def test_a_body_other_than_the_signed_one_is_refused(s3_endpoint, s3, bucket):
    def tamper(request, **_):
        request.body = b"tampered"
        request.headers["content-length"] = "8"

    plain = s3_endpoint.client(request_checksum_calculation="when_required")
    plain.put_object(Bucket=bucket, Key="key", Body=b"original")
    plain.meta.events.register("before-send.s3.PutObject", tamper)
    assert code_of(plain.put_object, Bucket=bucket, Key="key", Body=b"original") == (400, "XAmzContentSHA256Mismatch")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"original"


@pytest.mark.parametrize("key", AWKWARD_KEYS, ids=lambda key: ascii(key)[:40])
def test_awkward_keys(s3, bucket, key):
    body = key.encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(body)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, 60)
    assert curl(url) == body
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key=key)
    assert code_of(s3.head_object, Bucket=bucket, Key=key) == (404, "404")


def test_awkward_keys_live_together(s3, bucket):
    for key in AWKWARD_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    expected = sorted(AWKWARD_KEYS, key=lambda key: key.encode())
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == expected
    paged = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7}):
        paged += [entry["Key"] for entry in page["Contents"]]
    assert paged == expected
    for key in AWKWARD_KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in AWKWARD_KEYS if key != "\x01\x7f"]})
    assert len(answer["Deleted"]) == len(AWKWARD_KEYS) - 1
    s3.delete_object(Bucket=bucket, Key="\x01\x7f")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_key_that_is_too_long_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k" * 1024, Body=b"1")
    assert code_of(s3.put_object, Bucket=bucket, Key="k" * 1025, Body=b"1") == (400, "KeyTooLongError")


def test_ranges(s3, bucket):
    body = os.urandom(1_000_000)
    s3.put_object(Bucket=bucket, Key="key", Body=body)

    def get(range_):
        answer = s3.get_object(Bucket=bucket, Key="key", Range=range_)
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("ContentRange"), answer["Body"].read()

    assert get("bytes=0-0") == (206, "bytes 0-0/1000000", body[:1])
    assert get("bytes=262143-524289") == (206, "bytes 262143-524289/1000000", body[262143:524290])
    assert get("bytes=999999-") == (206, "bytes 999999-999999/1000000", body[-1:])
    assert get("bytes=-10") == (206, "bytes 999990-999999/1000000", body[-10:])
    assert get("bytes=500-2000000") == (206, "bytes 500-999999/1000000", body[500:])
    assert get("bytes=9-5") == (200, None, body)
    assert code_of(s3.get_object, Bucket=bucket, Key="key", Range="bytes=1000000-") == (416, "InvalidRange")
    assert code_of(s3.get_object, Bucket=bucket, Key="key", Range="bytes=-0") == (416, "InvalidRange")
    head = s3.head_object(Bucket=bucket, Key="key", Range="bytes=0-9")
    assert head["ContentLength"] == 10
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    assert code_of(s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-") == (416, "InvalidRange")


def test_conditions(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"1")["ETag"]
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)

    def get(**conditions):
        try:
            answer = s3.get_object(Bucket=bucket, Key="key", **conditions)
            return answer["ResponseMetadata"]["HTTPStatusCode"]
        except botocore.exceptions.ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    assert get(IfMatch=etag) == 200
    assert get(IfMatch='"other"') == 412
    assert get(IfNoneMatch=etag) == 304
    assert get(IfNoneMatch='"other"') == 200
    assert get(IfModifiedSince=now + hour) == 304
    assert get(IfModifiedSince=now - hour) == 200
    assert get(IfUnmodifiedSince=now - hour) == 412
    assert code_of(s3.put_object, Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    assert code_of(s3.put_object, Bucket=bucket, Key="key", Body=b"2", IfMatch='"x"') == (412, "PreconditionFailed")
    s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="fresh", Body=b"2", IfNoneMatch="*")


def test_only_one_conditional_write_wins(s3, bucket):
    results = []

    def put(number):
        try:
            s3.put_object(Bucket=bucket, Key="once", Body=str(number), IfNoneMatch="*")
            results.append(200)
        except botocore.exceptions.ClientError as error:
            results.append(error.response["ResponseMetadata"]["HTTPStatusCode"])

    threads = [threading.Thread(target=put, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(results) == [200] + [412] * 7


def test_response_fields_are_overridden(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"1", ContentType="text/plain")
    answer = s3.get_object(
        Bucket=bucket, Key="key", ResponseContentType="a/b", ResponseContentDisposition='attachment; filename="ü.zip"',
        ResponseCacheControl="no-store",
    )
    assert answer["ContentType"] == "a/b"
    assert answer["ContentDisposition"].startswith("attachment")
    assert answer["CacheControl"] == "no-store"
    url = s3.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "key", "ResponseContentType": "a/b\r\nInjected: yes"}, 60
    )
    assert status_of(url) == 400


def test_copies(s3, bucket):
    body = os.urandom(300_000)
    s3.put_object(Bucket=bucket, Key="source", Body=body, ContentType="text/x", Metadata={"a": "1"})
    etag = s3.head_object(Bucket=bucket, Key="source")["ETag"]
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/source")
    assert answer["CopyObjectResult"]["ETag"] == etag
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (body, "text/x", {"a": "1"})
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"/{bucket}/source", MetadataDirective="REPLACE", ContentType="text/y"
    )
    got = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert (got["ContentType"], got["Metadata"], got["ChecksumCRC32"]) == ("text/y", {}, crc32(body))
    s3.copy_object(
        Bucket=bucket, Key="source", CopySource=f"{bucket}/source", MetadataDirective="REPLACE", Metadata={"b": "2"}
    )
    assert s3.get_object(Bucket=bucket, Key="source")["Body"].read() == body
    assert code_of(s3.copy_object, Bucket=bucket, Key="source", CopySource=f"{bucket}/source") == (400, "InvalidRequest")
    assert code_of(s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{bucket}/none") == (404, "NoSuchKey")
    assert code_of(s3.copy_object, Bucket=bucket, Key="x", CopySource="no-bucket/none") == (404, "NoSuchBucket")
    assert code_of(
        s3.copy_object, Bucket=bucket, Key="x", CopySource=f"{bucket}/source", CopySourceIfMatch='"x"'
    ) == (412, "PreconditionFailed")


def test_many_are_deleted_in_one_request(s3, bucket):
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"k/{number}", Body=b"1")
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": f"k/{number}"} for number in range(7)], "Quiet": False}
    )
    assert [entry["Key"] for entry in answer["Deleted"]] == [f"k/{number}" for number in range(7)]
    assert "Errors" not in answer
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Deleted" not in s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}], "Quiet": True})


# Listings


def test_listings(s3, bucket):
    for key in ["a", "a/1", "a/2", "a/b/3", "a0", "b", "c/x/y"]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")

    def second(**arguments):
        answer = s3.list_objects_v2(Bucket=bucket, **arguments)
        keys = [entry["Key"] for entry in answer.get("Contents", [])]
        return keys, [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]

    def first(**arguments):
        answer = s3.list_objects(Bucket=bucket, **arguments)
        keys = [entry["Key"] for entry in answer.get("Contents", [])]
        return keys, [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]

    for list_ in [first, second]:
        assert list_() == (["a", "a/1", "a/2", "a/b/3", "a0", "b", "c/x/y"], [])
        assert list_(Delimiter="/") == (["a", "a0", "b"], ["a/", "c/"])
        assert list_(Prefix="a/", Delimiter="/") == (["a/1", "a/2"], ["a/b/"])
        assert list_(Prefix="a") == (["a", "a/1", "a/2", "a/b/3", "a0"], [])
        assert list_(Prefix="none") == ([], [])
        assert list_(MaxKeys=0) == ([], [])
    assert second(StartAfter="a/2") == (["a/b/3", "a0", "b", "c/x/y"], [])
    assert first(Marker="a/2") == (["a/b/3", "a0", "b", "c/x/y"], [])
    entry = s3.list_objects_v2(Bucket=bucket, MaxKeys=1, FetchOwner=True)["Contents"][0]
    assert entry["Size"] == 1 and entry["StorageClass"] == "STANDARD" and entry["Owner"]["ID"]
    assert entry["ETag"] == f'"{hashlib.md5(b"1").hexdigest()}"'
    assert abs(entry["LastModified"].timestamp() - time.time()) < 60
    for operation in ["list_objects", "list_objects_v2"]:
        for delimiter in ["", "/"]:
            for size in [1, 2, 3]:
                names = []
                for page in s3.get_paginator(operation).paginate(
                    Bucket=bucket, Delimiter=delimiter, PaginationConfig={"PageSize": size}
                ):
                    names += [entry["Key"] for entry in page.get("Contents", [])]
                    names += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
                whole = ["a", "a/", "a0", "b", "c/"] if delimiter else ["a", "a/1", "a/2", "a/b/3", "a0", "b", "c/x/y"]
                assert sorted(names) == whole
    assert code_of(s3.list_objects_v2, Bucket=bucket, ContinuationToken="nonsense") == (400, "InvalidArgument")


# Multipart uploads


def test_a_multipart_upload(s3, bucket):
    key = "big file+ü.zip"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType="application/zip", Metadata={"a": "1"})["UploadId"]
    bodies = {1: os.urandom(5 * MIB), 3: os.urandom(6 * MIB), 4: os.urandom(1234)}
    etags = {}
    for number in [4, 1]:
        etags[number] = s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=bodies[number]
        )["ETag"]
    s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=3, Body=b"replaced")
    etags[3] = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=3, Body=bodies[3])["ETag"]
    assert code_of(s3.head_object, Bucket=bucket, Key=key) == (404, "404")
    listed = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload)
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in listed["Parts"]] == [
        (number, len(bodies[number]), etags[number]) for number in sorted(bodies)
    ]
    page = s3.list_parts(Bucket=bucket, Key=key, UploadId=upload, MaxParts=1, PartNumberMarker=1)
    assert [part["PartNumber"] for part in page["Parts"]] == [3] and page["IsTruncated"]
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix="big")["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in uploads] == [(key, upload)]
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in sorted(bodies)]
    done = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    whole = b"".join(bodies[number] for number in sorted(bodies))
    digest = hashlib.md5(b"".join(hashlib.md5(bodies[number]).digest() for number in sorted(bodies))).hexdigest()
    assert done["ETag"] == f'"{digest}-3"'
    got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    assert got["Body"].read() == whole
    assert (got["ContentType"], got["Metadata"]) == ("application/zip", {"a": "1"})
    assert (got["ChecksumCRC32"], got["ChecksumType"]) == (crc32(whole), "FULL_OBJECT")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    again = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    assert again["ETag"] == done["ETag"]
    assert code_of(
        s3.upload_part, Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"1"
    ) == (404, "NoSuchUpload")


def test_a_wrong_multipart_upload_is_refused(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    common = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    small = s3.upload_part(**common, PartNumber=1, Body=b"small")["ETag"]
    big = s3.upload_part(**common, PartNumber=2, Body=bytes(5 * MIB))["ETag"]

    def complete(*parts):
        listed = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        return code_of(s3.complete_multipart_upload, **common, MultipartUpload={"Parts": listed})

    assert complete((1, small), (2, big)) == (400, "EntityTooSmall")
    assert complete((2, big), (1, small)) == (400, "InvalidPartOrder")
    assert complete((1, big)) == (400, "InvalidPart")
    assert complete((3, big)) == (400, "InvalidPart")
    assert complete() == (400, "MalformedXML")
    assert code_of(s3.upload_part, **common, PartNumber=0, Body=b"1") == (400, "InvalidArgument")
    assert code_of(s3.upload_part, **common, PartNumber=10001, Body=b"1") == (400, "InvalidArgument")
    assert code_of(s3.upload_part, **{**common, "Key": "other"}, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
    assert code_of(s3.upload_part, **{**common, "UploadId": "../x"}, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
    s3.abort_multipart_upload(**common)
    assert code_of(s3.abort_multipart_upload, **common) == (404, "NoSuchUpload")
    assert code_of(s3.head_object, Bucket=bucket, Key="key") == (404, "404")


def test_parts_are_copied(s3, bucket):
    body = os.urandom(7 * MIB)
    s3.put_object(Bucket=bucket, Key="source ü", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    common = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    source = {"Bucket": bucket, "Key": "source ü"}
    first = s3.upload_part_copy(**common, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=1-{6 * MIB}")
    second = s3.upload_part_copy(**common, PartNumber=2, CopySource=source)
    assert code_of(
        s3.upload_part_copy, **common, PartNumber=3, CopySource=source, CopySourceRange=f"bytes=0-{7 * MIB}"
    ) == (416, "InvalidRange")
    parts = [
        {"PartNumber": number, "ETag": part["CopyPartResult"]["ETag"]} for number, part in [(1, first), (2, second)]
    ]
    s3.complete_multipart_upload(**common, MultipartUpload={"Parts": parts})
    whole = body[1 : 6 * MIB + 1] + body
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == whole
    assert s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(whole)


def test_botos_own_transfers(s3, bucket, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(20 * MIB))
    s3.upload_file(str(path), bucket, "file")
    s3.download_file(bucket, "file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == path.read_bytes()
    s3.copy({"Bucket": bucket, "Key": "file"}, bucket, "copy")
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentLength"] == 20 * MIB


# Signatures


def test_a_presigned_url_is_good_for_one_key_and_its_time(s3_endpoint, s3, bucket):
    s3.put_object(Bucket=bucket, Key="one", Body=b"1")
    s3.put_object(Bucket=bucket, Key="two", Body=b"2")
    url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "one"}, 60)
    assert curl(url) == b"1"
    assert b"<Code>SignatureDoesNotMatch</Code>" in curl(url.replace("/one?", "/two?"), 403)
    assert b"<Code>SignatureDoesNotMatch</Code>" in curl(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), 403)
    position = url.index("X-Amz-Signature=") + len("X-Amz-Signature=")
    for index in [position, position + 31, len(url) - 1]:
        other = "0" if url[index] != "0" else "1"
        assert b"<Code>SignatureDoesNotMatch</Code>" in curl(url[:index] + other + url[index + 1 :], 403)
    assert status_of(url, method="DELETE") == 403
    assert status_of(url, method="PUT", body=b"x") == 403
    assert b"<Code>AccessDenied</Code>" in curl(url.split("?")[0], 403)
    assert b"<Code>InvalidAccessKeyId</Code>" in curl(url.replace(s3_endpoint.found["accessKeyId"], "A" * 20), 403)
    def signed(seconds_ago):
        then = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(seconds=seconds_ago)
        with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: then):
            return s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "one"}, 60)

    past, still = signed(61), signed(30)
    assert b"Request has expired" in curl(past, 403)
    assert curl(still) == b"1"
    short = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "one"}, 1)
    wait_until(lambda: status_of(short) == 403, 10)


def test_a_presigned_put(s3, bucket):
    url = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "key", "ContentType": "text/x"}, 60)
    assert status_of(url, "PUT", {"Content-Type": "text/x"}, b"hello") == 200
    assert status_of(url, "PUT", {"Content-Type": "text/y"}, b"hello") == 403
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"hello"


def test_wrong_secrets_regions_and_clocks_are_refused(s3_endpoint, bucket):
    wrong = s3_client(s3_endpoint.endpoint, s3_endpoint.found["accessKeyId"], "x" * 40)
    assert code_of(wrong.list_objects_v2, Bucket=bucket) == (403, "SignatureDoesNotMatch")
    stranger = s3_client(s3_endpoint.endpoint, "A" * 20, "x" * 40)
    assert code_of(stranger.list_objects_v2, Bucket=bucket) == (403, "InvalidAccessKeyId")
    elsewhere = boto3.client(
        "s3", endpoint_url=s3_endpoint.endpoint, region_name="eu-west-1",
        aws_access_key_id=s3_endpoint.found["accessKeyId"], aws_secret_access_key=s3_endpoint.found["secretAccessKey"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    assert code_of(elsewhere.list_objects_v2, Bucket=bucket) == (400, "AuthorizationHeaderMalformed")
    for path in ["/", f"/{bucket}", f"/{bucket}/key"]:
        assert status_of(s3_endpoint.endpoint + path) == 403


def test_the_old_signature_is_told_from_none(s3_endpoint):
    old = s3_endpoint.client(signature_version="s3")
    url = old.generate_presigned_url("get_object", {"Bucket": "ferry", "Key": "key"}, 60)
    assert b"Please use AWS4-HMAC-SHA256" in curl(url, 400)


def test_virtual_hosts(s3_endpoint, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"1")
    names = boto3.client(
        "s3", endpoint_url=f"http://localhost:{s3_endpoint.port}", region_name="us-east-1",
        aws_access_key_id=s3_endpoint.found["accessKeyId"], aws_secret_access_key=s3_endpoint.found["secretAccessKey"],
        config=botocore.config.Config(s3={"addressing_style": "virtual"}, signature_version="s3v4"),
    )
    url = names.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a b"}, 60)
    assert url.startswith(f"http://{bucket}.localhost:{s3_endpoint.port}/a%20b?")
    connection = http.client.HTTPConnection("127.0.0.1", s3_endpoint.port, timeout=10)
    connection.request("GET", url[url.index("/", 8) :], headers={"Host": f"{bucket}.localhost:{s3_endpoint.port}"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"1")
    connection.close()


def test_ipv6(s3_endpoint, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    try:
        socket.create_connection(("::1", s3_endpoint.port), timeout=5).close()
    except OSError as error:
        if error.errno == 99:
            return  # The machine has no IPv6 at all, so there is nothing to listen on.
        raise
    six = s3_endpoint.client(endpoint=f"http://[::1]:{s3_endpoint.port}")
    assert six.get_object(Bucket=bucket, Key="key")["Body"].read() == b"1"


# What is not there, and what is not HTTP


def test_what_is_not_implemented_says_so(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"1")
    assert code_of(s3.get_object_acl, Bucket=bucket, Key="key") == (501, "NotImplemented")
    assert code_of(s3.get_bucket_versioning, Bucket=bucket) == (501, "NotImplemented")
    assert code_of(s3.get_object_tagging, Bucket=bucket, Key="key") == (501, "NotImplemented")
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"1", Tagging="a=b") == (501, "NotImplemented")
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="AES256") == (501, "NotImplemented")
    assert code_of(s3.put_object, Bucket=bucket, Key="k", Body=b"1", ACL="public-read") == (501, "NotImplemented")
    assert code_of(s3.get_object, Bucket=bucket, Key="key", VersionId="1") == (501, "NotImplemented")


def test_failures_are_xml_with_a_request_id(s3_endpoint):
    connection = http.client.HTTPConnection("127.0.0.1", s3_endpoint.port, timeout=10)
    for method, hasBody in [("GET", True), ("HEAD", False)]:
        connection.request(method, "/bucket/key")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 403 and answer.getheader("content-type") == "application/xml"
        assert answer.getheader("x-amz-request-id")
        assert (b"<Code>AccessDenied</Code>" in body) == hasBody and (body == b"") != hasBody
        assert not hasBody or answer.getheader("x-amz-request-id").encode() in body
    connection.close()


def test_bytes_that_are_no_request(s3_endpoint):
    assert raw(s3_endpoint.port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").startswith(b"HTTP/1.1 400 ")
    assert b" 400 " in raw(s3_endpoint.port, b"GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]
    huge = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n"
    assert b" 400 " in raw(s3_endpoint.port, huge).split(b"\r\n")[0]
    both = b"PUT /a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert b" 400 " in raw(s3_endpoint.port, both).split(b"\r\n")[0]


def test_a_client_is_told_to_go_on_only_when_it_may(s3_endpoint, s3, bucket):
    url = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "key"}, 60))
    head = "PUT {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", s3_endpoint.port), timeout=10) as connection:
        connection.sendall(head.format(f"{url.path}?{url.query}", s3_endpoint.port).encode())
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    refused = raw(s3_endpoint.port, head.format(f"/{bucket}/key", s3_endpoint.port).encode())
    assert refused.startswith(b"HTTP/1.1 403 ")


def test_a_body_cut_short_leaves_nothing(s3_endpoint, s3, bucket):
    url = urllib.parse.urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "cut"}, 60))
    with socket.create_connection(("127.0.0.1", s3_endpoint.port), timeout=10) as connection:
        connection.sendall(
            f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: 127.0.0.1:{s3_endpoint.port}\r\nContent-Length: 1000000\r\n\r\n".encode()
            + bytes(600_000)
        )
    data = pathlib.Path(s3_endpoint.log.name).parent / "data" / "s3" / "tmp"
    wait_until(lambda: not list(data.iterdir()), 20)
    assert code_of(s3.head_object, Bucket=bucket, Key="cut") == (404, "404")


def test_requests_in_a_row_on_one_connection(s3_endpoint):
    request = b"GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert raw(s3_endpoint.port, request * 5 + last).count(b"HTTP/1.1 403 ") == 6


# The data directory


def test_files_placed_by_hand_are_objects(s3_endpoint, s3, bucket):
    folder = pathlib.Path(s3_endpoint.log.name).parent / "data" / "s3" / "buckets" / bucket / "objects" / "mine"
    folder.mkdir()
    with open(folder / "sparse.bin", "wb") as file:
        file.truncate(4 << 30)
    assert s3.head_object(Bucket=bucket, Key="mine/sparse.bin")["ContentLength"] == 4 << 30
    got = s3.get_object(Bucket=bucket, Key="mine/sparse.bin", Range=f"bytes={(4 << 30) - 5}-")
    assert got["Body"].read() == bytes(5)
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "mine/sparse.bin"


def test_another_process_takes_over(start, tmp_path):
    first = start()
    second = start()
    assert second.found == first.found
    client = first.client()
    client.put_object(Bucket="ferry", Key="key", Body=b"1")
    url = client.generate_presigned_url("get_object", {"Bucket": "ferry", "Key": "key"}, 600)
    first.process.kill()
    first.process.wait(10)

    def answers():
        try:
            return status_of(url) == 200
        except OSError:
            return False

    wait_until(answers, 20)
    assert second.stop() == 0
    third = start("--samples")
    assert third.endpoint == first.endpoint and curl(url) == b"1"
    keys = [entry["Key"] for entry in third.client().list_objects_v2(Bucket="ferry", Prefix="downloads/")["Contents"]]
    assert keys == ["downloads/70000.zip", "downloads/70001.zip", "downloads/70002.zip"]
    assert third.stop() == 0
    assert (tmp_path / "data" / "s3" / "credentials").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data" / "s3" / "endpoint.json").stat().st_mode & 0o777 == 0o600


def test_a_killed_process_leaves_whole_objects(start):
    server = start()
    client = server.client()
    bodies = [bytes([number]) * (200_000 + number) for number in range(40)]
    client.put_object(Bucket="ferry", Key="key", Body=bodies[0], Metadata={"number": "0"})
    failed = threading.Event()

    def write():
        for number in range(1, 10_000):
            try:
                client.put_object(
                    Bucket="ferry", Key="key", Body=bodies[number % 40], Metadata={"number": str(number % 40)}
                )
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                failed.set()
                return

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.5)
    server.process.kill()
    server.process.wait(10)
    writer.join(60)
    assert failed.is_set()
    again = start()
    got = again.client().get_object(Bucket="ferry", Key="key", ChecksumMode="ENABLED")
    body = got["Body"].read()
    assert body == bodies[int(got["Metadata"]["number"])]
    assert got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert again.stop() == 0


def test_memory_stays_bounded(start):
    """Gigabytes go through with the same memory as megabytes."""
    server = start()
    client = server.client(request_checksum_calculation="when_required", read_timeout=600)
    upload = client.create_multipart_upload(Bucket="ferry", Key="big")["UploadId"]
    part = bytes(64 * MIB)
    count = 64 if SOAK else 4
    parts = []
    for number in range(1, count + 1):
        etag = client.upload_part(Bucket="ferry", Key="big", UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    client.complete_multipart_upload(Bucket="ferry", Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    got = client.get_object(Bucket="ferry", Key="big")
    assert got["ContentLength"] == count * len(part)
    size = 0
    while chunk := got["Body"].read(4 * MIB):
        size += len(chunk)
    assert size == count * len(part)
    assert resident_kib(server.process.pid, "VmHWM") < 150 * 1024
    client.delete_object(Bucket="ferry", Key="big")
    assert server.stop() == 0
