"""Reads an archive with four independent readers and compares every member.

usage: check_archive.py ARCHIVE MEMBERS
MEMBERS is a folder with names.json, the members' names in order, and each one's bytes in a file 0, 1, 2, …
Prints "ok" when all agree.
"""

import hashlib
import json
import subprocess
import sys
import zipfile


def fail(text):
    print(text)
    sys.exit(1)


def compare(reader, found, expected):
    if found != expected:
        for mine, theirs in zip(expected, found):
            if mine != theirs:
                fail(f"{reader}: expected {mine}, found {theirs}")
        fail(f"{reader}: expected {len(expected)} members, found {len(found)}")


def by_directory(path):
    found = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.flag_bits & 8:
                fail(f"{info.filename}: has a data descriptor")
            with archive.open(info) as member:
                digest, size = hashlib.sha256(), 0
                while chunk := member.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
            found.append((info.filename, size, digest.hexdigest()))
    return found


def by_stream(path):
    from stream_unzip import stream_unzip

    def chunks():
        with open(path, "rb") as file:
            while chunk := file.read(65_521):
                yield chunk

    found = []
    for name, _, members in stream_unzip(chunks()):
        digest, size = hashlib.sha256(), 0
        for chunk in members:
            digest.update(chunk)
            size += len(chunk)
        found.append((name.decode("utf-8"), size, digest.hexdigest()))
    return found


def by_tool(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        fail(f"{' '.join(command)}: {result.stdout.decode(errors='replace')[-2000:]}")


def main():
    path, folder = sys.argv[1:]
    with open(f"{folder}/names.json") as file:
        names = json.load(file)
    expected = []
    for index, name in enumerate(names):
        with open(f"{folder}/{index}", "rb") as file:
            contents = file.read()
        expected.append((name, len(contents), hashlib.sha256(contents).hexdigest()))
    compare("zipfile", by_directory(path), expected)
    by_tool("unzip", "-tqq", path)
    by_tool("7z", "t", "-bd", path)
    compare("stream-unzip", by_stream(path), expected)
    print("ok")


main()
