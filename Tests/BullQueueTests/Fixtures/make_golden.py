"""Writes golden.json: what the PyPI `bullmq` client leaves in Redis for each scenario.

Run with the versions of Tests/requirements.txt: `python make_golden.py > golden.json`. Tests/Integration/test_bullmq_golden.py
checks that the file is still what the client does; the Swift tests compare what BullQueue leaves behind.

A scenario has jobs, and an attempt script: for each attempt of each job name either a return value or an error.
A dump maps each key (without the queue's prefix) to its contents. Times are replaced by "T", scores of `delayed` by "S",
stacktraces by how many there are; what depends on who woke first (marker, stalled, stalled-check) is left out.
An operation by hand is a start state, made by the peer, and what the peer's own call made of it; there is no worker
then, so the markers are compared too. A dump of schedulers names the times of iterations instead, T1 for the first, as `scheduled_dump` says.
"""

import asyncio
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import bullmq
import redis.asyncio
from bullmq import FlowProducer, Queue, UnrecoverableError, Worker

NOW = time.time() * 1000
QUEUE = "golden"
SKIPPED = {"marker", "stalled", "stalled-check"}

# name: (jobs as (name, data, opts), {name: [what each attempt does]})
ADDED = {
    "plain": [("mail", {"a": 1}, {})],
    "data": [("n\u00e9", {"text": "\u2603 \"q\" \\ / \n", "n": [1, 2.5, None, True]}, {})],
    "delayed": [("mail", {}, {"delay": 3600000}), ("mail", {}, {"delay": 7200000})],
    "prioritized": [("a", {}, {"priority": 2}), ("b", {}, {"priority": 1}), ("c", {}, {})],
    "lifo": [("a", {}, {}), ("b", {}, {"lifo": True})],
    "custom": [("a", {}, {"jobId": "mine"}), ("b", {}, {"jobId": "mine"}), ("c", {}, {})],
    "options": [
        ("mail", {}, {
            "attempts": 3, "backoff": {"type": "exponential", "delay": 100}, "priority": 2,
            "removeOnComplete": {"age": 3600}, "removeOnFail": {"age": 10, "count": 5},
        }),
        ("mail", {}, {"attempts": 5, "backoff": 250, "removeOnComplete": True, "removeOnFail": 7}),
    ],
    "deduplicated": [("a", {}, {"deduplication": {"id": "k"}}), ("b", {}, {"deduplication": {"id": "k"}})],
    "deduplicated otherwise": [("a", {}, {"deduplication": {"id": "k"}}), ("b", {}, {"deduplication": {"id": "l"}})],
    "deduplicated with ttl": [("a", {}, {"deduplication": {"id": "k", "ttl": 3600000}})] * 2,
    "deduplicated, extended": [("a", {}, {"deduplication": {"id": "k", "ttl": 3600000, "extend": True}})] * 2,
    "deduplicated, replaced": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "ttl": 3600000, "replace": True}})
        for n in range(3)
    ],
    "deduplicated, replaced and extended": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "ttl": 3600000, "replace": True, "extend": True}})
        for n in range(2)
    ],
    "deduplicated, replaced without ttl": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "replace": True}}) for n in range(2)
    ],
    "deduplicated, not replaced": [("a", {}, {"deduplication": {"id": "k", "replace": True}})] * 2,
    "deduplicated, kept": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "keepLastIfActive": True}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True}, "priority": 3}),
        ("c", {"n": 3}, {"deduplication": {"id": "k", "keepLastIfActive": True}}),
    ],
    "deduplicated, kept with ttl": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "ttl": 3600000}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True, "ttl": 3600000}}),
    ],
    "deduplicated, replaced or kept": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "keepLastIfActive": True, "replace": True}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True, "replace": True}}),
    ],
    "deduplicated, not kept": [("a", {}, {"deduplication": {"id": "k", "keepLastIfActive": True}})] * 2,
    "deduplicated, holder gone": [
        ("a", {}, {"deduplication": {"id": "k"}}), ("!forget", {}, {}), ("b", {}, {"deduplication": {"id": "k"}}),
    ],
    "deduplicated custom id": [
        ("a", {}, {"deduplication": {"id": "k"}, "jobId": "x"}), ("a", {}, {"deduplication": {"id": "k"}, "jobId": "y"}),
    ],
}

WORKED = {
    "completes": ([("a", {"x": 1}, {})], {"a": [{"ok": True}]}),
    "null": ([("a", {}, {})], {"a": [None]}),
    "text": ([("a", {}, {})], {"a": ["\u2603"]}),
    "fixed": ([("a", {}, {"attempts": 3, "backoff": {"type": "fixed", "delay": 20}})], {"a": ["!one", "!two", 3]}),
    "exponential": (
        [("a", {}, {"attempts": 3, "backoff": {"type": "exponential", "delay": 10}})], {"a": ["!one", "!two", 3]}),
    "immediate": ([("a", {}, {"attempts": 2})], {"a": ["!one", 2]}),
    "immediate prioritized": ([("a", {}, {"attempts": 2, "priority": 4})], {"a": ["!one", 2]}),
    "exhausted": ([("a", {}, {"attempts": 2})], {"a": ["!one", "!two"]}),
    "single": ([("a", {}, {})], {"a": ["!one"]}),
    "unrecoverable": ([("a", {}, {"attempts": 5})], {"a": ["!!never"]}),
    "delayed": ([("a", {}, {"delay": 30})], {"a": [1]}),
    "delayed prioritized": ([("a", {}, {"delay": 30, "priority": 3})], {"a": [1]}),
    "progress": ([("a", {}, {})], {"a": ["progress"]}),
    "remove completed": ([("a", {}, {"removeOnComplete": True})], {"a": [1]}),
    "remove failed": ([("a", {}, {"removeOnFail": True})], {"a": ["!one"]}),
    "keep two": ([("a", {"n": n}, {"removeOnComplete": 2}) for n in range(4)], {"a": [1]}),
    "keep by age": ([("a", {}, {"removeOnComplete": {"age": 3600, "count": 3}}) for n in range(5)], {"a": [1]}),
    "stacktraces": ([("a", {}, {"attempts": 3, "stackTraceLimit": 1})], {"a": ["!one", "!two", "!three"]}),
    "deduplicated": ([("a", {}, {"deduplication": {"id": "k1"}}), ("a", {}, {"deduplication": {"id": "k1"}})], {"a": [1]}),
    "deduplicated with ttl": ([("a", {}, {"deduplication": {"id": "k1", "ttl": 3600000}})], {"a": [1]}),
    "deduplicated failure": ([("a", {}, {"deduplication": {"id": "k1"}})], {"a": ["!one"]}),
}

# name: (child's options, parent's options, attempts)
FLOWS = {
    "child completes": ({}, {}, {"child": [{"c": 1}], "parent": [{"p": 1}]}),
    "child completes and is removed": ({"removeOnComplete": True}, {}, {"child": [1], "parent": [2]}),
    "parent prioritized": ({}, {"priority": 5}, {"child": [1], "parent": [2]}),
    "parent delayed": ({}, {"delay": 30}, {"child": [1], "parent": [2]}),
    "child fails parent": ({"failParentOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child ignored": ({"ignoreDependencyOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child removed": ({"removeDependencyOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child continues": ({"continueParentOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child fails": ({}, {}, {"child": ["!one"]}),
}

# name: (how the start state is made, the operation and its arguments); the steps are in `prepare`, the operations in
# `perform` and, for BullQueue, in OperationTests.swift.
SLOT = 2000000000000
ADD = ["add", {}]
FAIL = ["work", {"a": ["!boom"]}]
DONE = ["work", {"a": [1]}]
CHILD = ["flow", {}, {}]
V5 = [["redis", "RENAME", "wait", "paused"], ["redis", "HSET", "meta", "paused", "1"]]
OPERATIONS = {
    "pause": ([ADD], ["pause"]),
    "pause while delayed": ([["add", {"delay": 3600000}]], ["pause"]),
    "pause of an empty queue": ([], ["pause"]),
    "pause twice": ([ADD, ["pause"]], ["pause"]),
    "resume": ([ADD, ["pause"], ADD], ["resume"]),
    "resume with prioritized": ([["add", {"priority": 3}], ["pause"]], ["resume"]),
    "resume with delayed": ([["add", {"delay": 3600000}], ["pause"]], ["resume"]),
    "resume of an empty queue": ([["pause"]], ["resume"]),
    "resume of a running queue": ([ADD], ["resume"]),
    "resume of version 5": ([ADD, ADD, *V5], ["resume"]),
    "resume of version 5 with later jobs": ([ADD, ADD, *V5, ADD], ["resume"]),
    "drain": (
        [ADD, ["add", {"priority": 1}], ["add", {"delay": 3600000}], ["log", "1", "x"], ["log", "3", "y"]], ["drain", False]),
    "drain with delayed": ([ADD, ["add", {"priority": 1}], ["add", {"delay": 3600000}], ["log", "3", "y"]], ["drain", True]),
    "drain of version 5": ([ADD, ADD, *V5], ["drain", False]),
    "drain beside others": ([ADD, FAIL, ADD, DONE, ADD, ["take"], ADD], ["drain", True]),
    "drain with a scheduler": ([["scheduler", "s"], ["add", {"delay": 3600000}]], ["drain", True]),
    "drain of children": ([CHILD], ["drain", True]),
    "drain of deduplicated": ([["add", {"deduplication": {"id": "k"}}]], ["drain", True]),
    "promote": ([["add", {"delay": 3600000}], ["add", {"delay": 7200000}]], ["promote", "1"]),
    "promote prioritized": ([ADD, ["add", {"delay": 3600000, "priority": 7}]], ["promote", "2"]),
    "promote lifo": ([ADD, ["add", {"delay": 3600000, "lifo": True}]], ["promote", "2"]),
    "promote while paused": ([["add", {"delay": 3600000}], ["pause"]], ["promote", "1"]),
    "promote what is not delayed": ([ADD], ["promote", "1"]),
    "promote all": (
        [["add", {"delay": 3600000}], ["add", {"delay": 7200000, "priority": 2}], ["add", {"delay": 1800000}]], ["promote all"]),
    "promote all of none": ([ADD], ["promote all"]),
    "retry": ([ADD, FAIL], ["retry", "1", "failed", False]),
    "retry completed": ([ADD, DONE], ["retry", "1", "completed", False]),
    "retry with fresh attempts": ([["add", {"attempts": 2}], FAIL], ["retry", "1", "failed", True]),
    "retry prioritized": ([["add", {"priority": 5}], FAIL], ["retry", "1", "failed", False]),
    "retry lifo": ([["add", {"lifo": True}], FAIL, ADD], ["retry", "1", "failed", False]),
    "retry while paused": ([ADD, FAIL, ["pause"]], ["retry", "1", "failed", False]),
    "retry what has not ended": ([ADD], ["retry", "1", "failed", False]),
    "retry of a child": ([CHILD, ["work", {"child": ["!boom"]}]], ["retry", "c", "failed", False]),
    "retry of a child that ended its parent": (
        [["flow", {"failParentOnFailure": True}, {}], ["work", {"child": ["!boom"], "parent": ["!child failed"]}]],
        ["retry", "c", "failed", False]),
    "retry of an ignored child": (
        [["flow", {"ignoreDependencyOnFailure": True}, {}], ["work", {"child": ["!boom"], "parent": [1]}]],
        ["retry", "c", "failed", False]),
    "retry of a completed child": (
        [CHILD, ["work", {"child": [1], "parent": [1]}]], ["retry", "c", "completed", False]),
    "retry of an ignored child whose parent waits": (
        [["family", {"ignoreDependencyOnFailure": True}], ["work", {"first": ["!boom"]}]], ["retry", "c1", "failed", False]),
    "retry of a dropped child whose parent waits": (
        [["family", {"removeDependencyOnFailure": True}], ["work", {"first": ["!boom"]}]], ["retry", "c1", "failed", False]),
    "retry of an ignored child whose parent is gone": (
        [["flow", {"ignoreDependencyOnFailure": True}, {}], ["work", {"child": ["!boom"], "parent": [1]}],
         ["redis", "DEL", "p"]], ["retry", "c", "failed", False]),
    "retry of a completed child whose parent waits": (
        [["family", {}], ["work", {"first": [1]}]], ["retry", "c1", "completed", False]),
    "retry all": ([ADD, ["add", {"priority": 2}], ADD, FAIL], ["retry all", "failed"]),
    "retry all completed": ([ADD, ADD, DONE], ["retry all", "completed"]),
    "retry all of children": ([CHILD, ["work", {"child": ["!boom"]}]], ["retry all", "failed"]),
    "retry all of none": ([ADD], ["retry all", "failed"]),
    "remove waiting": ([ADD, ADD], ["remove", "1", False]),
    "remove prioritized": ([["add", {"priority": 2}]], ["remove", "1", False]),
    "remove delayed": ([["add", {"delay": 3600000}]], ["remove", "1", False]),
    "remove failed": ([ADD, FAIL, ["log", "1", "x"]], ["remove", "1", False]),
    "remove completed": ([ADD, DONE], ["remove", "1", False]),
    "remove paused": ([ADD, ADD, *V5], ["remove", "1", False]),
    "remove active": ([ADD, ["take"]], ["remove", "1", False]),
    "remove active without a lock": ([ADD, ["take"], ["redis", "DEL", "1:lock"]], ["remove", "1", False]),
    "remove of a scheduler": ([["scheduler", "s"]], ["remove", f"repeat:s:{SLOT}", False]),
    "remove deduplicated": ([["add", {"deduplication": {"id": "k"}}]], ["remove", "1", False]),
    "remove deduplicated for a time": ([["add", {"deduplication": {"id": "k", "ttl": 3600000}}]], ["remove", "1", False]),
    "remove another of a deduplication": (
        [["add", {"deduplication": {"id": "k"}}], ["redis", "SET", "de:k", "other"]], ["remove", "1", False]),
    "remove a child": ([CHILD], ["remove", "c", False]),
    "remove one of two children": ([["family", {}]], ["remove", "c1", False]),
    "remove a failed child": ([CHILD, ["work", {"child": ["!boom"]}]], ["remove", "c", False]),
    "remove a parent": ([["family", {}]], ["remove", "p", False]),
    "remove a parent with children": ([["family", {}]], ["remove", "p", True]),
    "remove a parent with an active child": ([["family", {}], ["take"]], ["remove", "p", True]),
    "remove a parent with ended children": (
        [["family", {"ignoreDependencyOnFailure": True}], ["work", {"first": ["!boom"], "second": [1], "parent": [1]}]],
        ["remove", "p", True]),
    "remove a parent with a completed child": ([["family", {}], ["work", {"first": [1]}]], ["remove", "p", True]),
    "clean completed": (
        [ADD, ADD, ADD, DONE, ["age", "completed", "1"], ["age", "completed", "2"]], ["clean", "completed", 1000, 0]),
    "clean failed": ([ADD, ADD, ADD, FAIL, ["age", "failed", "1"], ["age", "failed", "2"]], ["clean", "failed", 1000, 1]),
    "clean wait": ([ADD, ADD, ADD, ["age", None, "1"], ["age", None, "2"]], ["clean", "wait", 1000, 0]),
    "clean wait, some": ([ADD, ADD, ADD, ["age", None, "1"], ["age", None, "2"]], ["clean", "wait", 1000, 1]),
    "clean paused": ([ADD, ADD, ["age", None, "1"], *V5], ["clean", "paused", 1000, 0]),
    "clean delayed": ([["add", {"delay": 3600000}], ["add", {"delay": 9}], ["age", None, "1"]], ["clean", "delayed", 1000, 0]),
    "clean prioritized": (
        [["add", {"priority": 2}], ["add", {"priority": 1}], ["age", None, "1"]], ["clean", "prioritized", 1000, 0]),
    "clean active": (
        [ADD, ADD, ["take"], ["take"], ["age", None, "1"], ["age", None, "2"], ["redis", "DEL", "1:lock"]],
        ["clean", "active", 1000, 0]),
    "clean none": ([ADD, DONE], ["clean", "completed", 3600000, 0]),
    "obliterate": (
        [ADD, ["add", {"priority": 1}], ["add", {"delay": 3600000}], ["log", "1", "x"], ["scheduler", "s"]],
        ["obliterate", False]),
    "obliterate what was worked": ([ADD, DONE, ADD, FAIL, ADD], ["obliterate", False]),
    "obliterate with active": ([ADD, ADD, ["take"]], ["obliterate", False]),
    "obliterate with active, forced": ([ADD, ADD, ["take"]], ["obliterate", True]),
    "update data": ([ADD], ["update data", "1", {"b": [1, "\u2603"]}]),
    "update data of none": ([], ["update data", "1", {}]),
    "log": ([ADD, ["log", "1", "one"]], ["log", "1", "two", 0]),
    "log, keeping two": ([ADD, ["log", "1", "one"], ["log", "1", "two"]], ["log", "1", "three", 2]),
    "change delay": ([["add", {"delay": 3600000}], ["add", {"delay": 7200000}]], ["change delay", "2", 1800000]),
    "change delay of what is not delayed": ([ADD], ["change delay", "1", 1800000]),
    "change priority of a waiting job": ([ADD, ADD], ["change priority", "1", 3, False]),
    "change priority to none": ([ADD, ["add", {"priority": 3}]], ["change priority", "2", 0, False]),
    "change priority to none, first": ([ADD, ["add", {"priority": 3}]], ["change priority", "2", 0, True]),
    "change priority of prioritized": ([["add", {"priority": 3}], ["add", {"priority": 5}]], ["change priority", "2", 1, False]),
    "change priority, first": ([["add", {"priority": 3}], ["add", {"priority": 5}]], ["change priority", "2", 3, True]),
    "change priority of a delayed job": ([["add", {"delay": 3600000}]], ["change priority", "1", 3, False]),
    "change priority of none": ([], ["change priority", "1", 3, False]),
    "global concurrency": ([ADD], ["global concurrency", 4]),
    "no global concurrency": ([ADD, ["redis", "HSET", "meta", "concurrency", "4"]], ["global concurrency", None]),
    "global rate limit": ([ADD], ["global rate limit", 10, 1000]),
    "no global rate limit": (
        [ADD, ["redis", "HSET", "meta", "max", "4", "duration", "1000"]], ["global rate limit", None, None]),
}
# Those that the client refuses with an error of no class of its own.
REFUSED = {"obliterate with active", "change delay of what is not delayed"}
DAY = 86400000
# name: operations; a number "+n" is n ms from now
SCHEDULERS = {
    "every": [["upsert", "s", {"every": 60000}]],
    "every with a template": [
        ["upsert", "s", {"every": 60000, "limit": 3, "startDate": "+30000"}, "n", {"a": 1},
         {"attempts": 3, "priority": 2, "removeOnComplete": 10}]],
    "every with an offset": [["upsert", "s", {"every": 600000, "offset": 5000}]],
    "every with a start gone by": [["upsert", "s", {"every": 60000, "startDate": "+-90000"}]],
    "every with its end gone by": [["upsert", "s", {"every": 60000, "endDate": "+-90000"}]],
    "every at once, before others": [["upsert", "s", {"every": 60000}, "n", None, {"lifo": True}]],
    "pattern": [["upsert", "s", {"pattern": "0 0 * * *"}]],
    "pattern in a zone": [
        ["upsert", "s", {"pattern": "0 30 2 * * *", "tz": "Asia/Tokyo", "limit": 5, "endDate": f"+{10 * DAY}"}, "n",
         {"a": []}, {"attempts": 3, "backoff": {"type": "fixed", "delay": 5}}]],
    "pattern with a start": [["upsert", "s", {"pattern": "0 0 * * *", "startDate": f"+{3 * DAY}"}]],
    "every again": [["upsert", "s", {"every": 60000}], ["upsert", "s", {"every": 60000}]],
    "every again while it is delayed": [
        ["upsert", "s", {"every": 60000, "startDate": "+50000"}],
        ["upsert", "s", {"every": 60000}, "x", {"b": 2}, {"attempts": 2}]],
    "every changed": [["upsert", "s", {"every": 60000, "startDate": "+50000"}], ["upsert", "s", {"every": 45000}]],
    "every worked": [["upsert", "s", {"every": 60000}], ["activate", "s"], ["upsert", "s", {"every": 60000}]],
    "every changed while it is worked": [
        ["upsert", "s", {"every": 60000}], ["activate", "s"], ["upsert", "s", {"every": 500000, "offset": 7000}]],
    "pattern again": [
        ["upsert", "s", {"pattern": "0 0 * * *"}], ["upsert", "s", {"pattern": "0 0 * * *"}, "y", {"b": 1}]],
    "pattern changed": [
        ["upsert", "s", {"pattern": "0 0 * * *", "limit": 3, "startDate": f"+{5 * DAY}"}, "n", {"a": 1}, {"attempts": 2}],
        ["upsert", "s", {"pattern": "0 1 * * *", "startDate": f"+{7 * DAY}"}]],
    "pattern instead of every": [["upsert", "s", {"every": 50000}], ["upsert", "s", {"pattern": "0 0 * * *"}]],
    "every instead of pattern": [["upsert", "s", {"pattern": "0 0 * * *"}], ["upsert", "s", {"every": 50000}]],
    "prioritized, then not": [
        ["upsert", "s", {"every": 60000}, "n", None, {"priority": 3}], ["upsert", "s", {"every": 50000}]],
    "two": [
        ["upsert", "s", {"pattern": "0 0 * * *"}],
        ["upsert", "t:u", {"pattern": "0 1 * * *", "startDate": f"+{7 * DAY}"}, "n"]],
    "removed": [["upsert", "s", {"every": 60000, "startDate": "+50000"}], ["remove", "s"]],
    "removed while it waits": [["upsert", "s", {"every": 60000}], ["remove", "s"]],
    "removed when there is none": [["remove", "s"]],
}

# name: (operations, attempts, ended jobs)
SCHEDULED = {
    "every": ([["upsert", "s", {"every": 400, "limit": 3}, "a", {"x": 1}, {"attempts": 2}]], {"a": [1]}, 3),
    "every with an offset": ([["upsert", "s", {"every": 1000, "offset": 300, "limit": 2}]], {"s": [1]}, 2),
    "pattern": (
        [["upsert", "s", {"pattern": "* * * * * *", "limit": 2, "tz": "Europe/Berlin"}, "a", None, {"removeOnFail": 5}]],
        {"a": [1]}, 2),
    "pattern prioritized": (
        [["upsert", "s", {"pattern": "* * * * * *", "limit": 2}, "a", None, {"priority": 3}]], {"a": [1]}, 2),
    "tried again": (
        [["upsert", "s", {"every": 1000, "limit": 1}, "a", None, {"attempts": 2}]], {"a": ["!one", 2]}, 1),
    "failed": ([["upsert", "s", {"every": 500, "limit": 2}, "a"]], {"a": ["!one"]}, 2),
    "removed meanwhile": ([["upsert", "s", {"every": 500}, "a"], ["remove", "s"]], {"a": [1]}, 1),
    "far from done": ([["upsert", "s", {"every": 1000000}, "a", {"x": [1]}]], {"a": [1]}, 1),
}


def is_time(text):
    try:
        return abs(float(text) - NOW) < 30 * 86400000
    except (TypeError, ValueError):
        return False


def masked(name, value):
    if name == "stacktrace":
        return len(json.loads(value))
    if name in ("data", "opts", "returnvalue", "progress", "parent"):
        return json.loads(value)
    return "T" if is_time(value) else value


async def dump(r, skipped=SKIPPED):
    result = {}
    base = f"bull:{QUEUE}:"
    for key in sorted(await r.keys(base + "*")):
        name = key[len(base):]
        if name in skipped:
            continue
        kind = await r.type(key)
        if kind == "hash":
            result[name] = {k: masked(k, v) for k, v in sorted((await r.hgetall(key)).items())}
        elif kind == "list":
            result[name] = await r.lrange(key, 0, -1)
        elif kind == "set":
            result[name] = sorted(await r.smembers(key))
        elif kind == "zset":
            mask = lambda s: "T" if is_time(s) else "S" if is_time(s / 4096) else int(s)
            result[name] = [[m, mask(s)] for m, s in await r.zrange(key, 0, -1, withscores=True)]
        elif kind == "string":
            result[name] = {"value": await r.get(key), "expires": await r.pttl(key) > 0}
        elif kind == "stream":
            result[name] = [[[k, masked(k, v)] for k, v in e[1].items()] for e in await r.xrange(key)]
    return result


def slots_of(raw):
    """The times in the ids of iterations, named T1, T2 and so on in their order."""
    found = re.findall(r"repeat:[\w:]+:(\d{13})", json.dumps(raw))
    return {slot: f"T{index + 1}" for index, slot in enumerate(sorted(set(found)))}


def named(value, slots):
    """A value in which times of iterations have their names, in ids too, and other times are "T"."""
    if isinstance(value, dict):
        return {k: named(v, slots) for k, v in value.items()}
    if isinstance(value, list):
        return [named(v, slots) for v in value]
    if isinstance(value, str) and value.startswith("repeat:"):
        return re.sub(r"\d{13}$", lambda m: slots.get(m[0], "T"), value)
    return "T" if is_time(value) else value


def scheduled_dump(raw):
    """A dump of schedulers in which times are named.

    Of an iteration `delay` is its time's name when it leads there from `timestamp`; so is `prevMillis` with a pattern.
    Of a record `offset` is "slot" when it is that of the planned time, "other" when a change left an old one behind.
    """
    slots, result = slots_of(raw), {}
    planned = dict(raw.get("repeat", []))
    for name, value in raw.items():
        slot = re.search(r"^repeat:[\w:]+:(\d{13})$", name)
        if slot:
            at, value = int(slot[1]), dict(value)
            leads = lambda delay: slots[slot[1]] if int(delay) and int(value["timestamp"]) + int(delay) == at else int(delay)
            opts = json.loads(value["opts"])
            opts["delay"] = leads(opts["delay"])
            if "pattern" in opts["repeat"] and opts["prevMillis"] == at:
                opts["prevMillis"] = slots[slot[1]]
            value["delay"] = leads(value["delay"])
            value = {k: named(json.loads(v) if k in ("data", "returnvalue") else v, slots) for k, v in value.items()}
            value["opts"] = named(opts, slots)
            if "stacktrace" in value:
                value["stacktrace"] = len(json.loads(value["stacktrace"]))
        elif name.startswith("repeat:"):
            value = dict(value)
            every, offset = int(value.get("every", 0)), int(value["offset"])
            if offset:
                value["offset"] = "slot" if every and planned[name[7:]] % every == offset else "other"
            value = {k: named(json.loads(v) if k in ("data", "opts") else v, slots) for k, v in value.items()}
        elif name == "delayed":
            value = [[named(id, slots), slots.get(str(int(score // 4096)), "T")] for id, score in value]
        elif name == "repeat":
            value = [[id, slots.get(str(int(score)), "T")] for id, score in value]
        elif name == "events":
            value = [
                [[k, slots.get(v, named(v, slots)) if k == "delay" else named(v, slots)] for k, v in event]
                for event in value if event != [["event", "drained"]]
            ]
        else:
            value = named(value, slots)
        result[re.sub(r"\d{13}$", lambda m: slots.get(m[0], "T"), name)] = value
    return result


async def raw_dump(r):
    result = {}
    base = f"bull:{QUEUE}:"
    for key in await r.keys(base + "*"):
        name = key[len(base):]
        if name in SKIPPED:
            continue
        kind = await r.type(key)
        if kind == "hash":
            result[name] = await r.hgetall(key)
        elif kind == "list":
            result[name] = await r.lrange(key, 0, -1)
        elif kind == "zset":
            result[name] = [[m, s] for m, s in await r.zrange(key, 0, -1, withscores=True)]
        elif kind == "string":
            result[name] = await r.get(key)
        elif kind == "stream":
            result[name] = [[[k, v] for k, v in e[1].items()] for e in await r.xrange(key)]
    return result


async def schedule(r, queue, steps):
    for verb, scheduler, *rest in steps:
        # Two operations within a millisecond would share a time.
        await asyncio.sleep(0.003)
        if verb == "upsert":
            now = int(time.time() * 1000)
            timed = lambda v: now + int(v[1:]) if isinstance(v, str) and v.startswith("+") else v
            await queue.upsertJobScheduler(scheduler, {k: timed(v) for k, v in rest[0].items()}, *rest[1:])
        elif verb == "remove":
            await queue.removeJobScheduler(scheduler)
        else:
            # As if a worker had taken it and did not yet advance the scheduler.
            base = f"bull:{QUEUE}:"
            id = f"repeat:{scheduler}:{int(await r.zscore(base + 'repeat', scheduler))}"
            await r.lrem(base + "wait", 0, id)
            await r.lpush(base + "active", id)


async def work(r, connection, script, terminal):
    """Works the queue with one worker until so many jobs have ended."""
    made = {}

    async def process(job, token):
        number = made[job.id] = made.get(job.id, 0) + 1
        steps = script[job.name]
        step = steps[min(number, len(steps)) - 1]
        if step == "progress":
            await job.updateProgress({"p": 50})
        elif isinstance(step, str) and step.startswith("!!"):
            raise UnrecoverableError(step[2:])
        elif isinstance(step, str) and step.startswith("!"):
            raise Exception(step[1:])
        return step

    worker = Worker(QUEUE, process, {"connection": connection, "stalledInterval": 60000, "autorun": False})
    running = asyncio.ensure_future(worker.run())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        events = await r.xrange(f"bull:{QUEUE}:events")
        if sum(e[1]["event"] in ("completed", "failed") for e in events) >= terminal:
            break
        await asyncio.sleep(0.01)
    else:
        print("not finished in time:", events, file=sys.stderr)
    await asyncio.sleep(0.05)
    await worker.close()
    running.cancel()


async def prepare(r, connection, queue, step):
    kind, *rest = step
    base = f"bull:{QUEUE}:"
    if kind == "add":
        await queue.add("a", {"a": 1}, dict(rest[0]))
    elif kind == "flow":
        await FlowProducer({"connection": connection}).add({
            "name": "parent", "queueName": QUEUE, "data": {}, "opts": {"jobId": "p", **rest[1]},
            "children": [{"name": "child", "queueName": QUEUE, "data": {}, "opts": {"jobId": "c", **rest[0]}}],
        })
    elif kind == "family":
        await FlowProducer({"connection": connection}).add({
            "name": "parent", "queueName": QUEUE, "data": {}, "opts": {"jobId": "p"},
            "children": [
                {"name": name, "queueName": QUEUE, "data": {}, "opts": {"jobId": id, **rest[0]}}
                for name, id in (("first", "c1"), ("second", "c2"))
            ],
        })
    elif kind == "work":
        # One job after the other, and the rest of the queue left alone: jobs without a script stay.
        worker = Worker(QUEUE, None, {"connection": connection, "autorun": False})
        left = []
        while True:
            taken = await queue.backend.scripts.moveToActive("w", {"lockDuration": 60000})
            if not taken or not taken[0]:
                break
            job = bullmq.Job.fromJSON(queue, taken[0], taken[1])
            if job.name not in rest[0]:
                left.append(taken[1])
                continue
            result = rest[0][job.name][0]
            if isinstance(result, str) and result.startswith("!"):
                job.attemptsMade = job.attempts = 99
                await job.moveToFailed(bullmq.UnrecoverableError(result[1:]), "w")
            else:
                await job.moveToCompleted(result, "w")
            # No two end within the same millisecond, so that their order is theirs.
            await asyncio.sleep(0.002)
        for id in left:
            await r.delete(base + id + ":lock")
            await r.lrem(base + "active", 1, id)
            await r.rpush(base + "wait", id)
            await r.hdel(base + id, "processedOn", "ats")
        await worker.close()
    elif kind == "take":
        await queue.backend.scripts.moveToActive("t", {"lockDuration": 3600000})
    elif kind == "pause":
        await queue.pause()
    elif kind == "log":
        await bullmq.Job.addJobLog(queue, rest[0], rest[1])
    elif kind == "scheduler":
        # As the client leaves it, at a time that does not depend on the run.
        id = f"repeat:{rest[0]}:{SLOT}"
        await r.zadd(base + "repeat", {rest[0]: SLOT})
        await r.hset(base + "repeat:" + rest[0], mapping={"name": "a", "ic": 1, "every": 3600000})
        await r.hset(base + id, mapping={
            "name": "a", "data": "{}", "opts": "{}", "timestamp": 1000, "delay": 0, "priority": 0, "rjk": rest[0]})
        await r.zadd(base + "delayed", {id: SLOT * 4096})
        await r.hset(base + "meta", "opts.maxLenEvents", 10000)
    elif kind == "age":
        for field in ("timestamp", "processedOn", "finishedOn"):
            if await r.hexists(base + rest[1], field):
                await r.hset(base + rest[1], field, 1000)
        if rest[0]:
            await r.zadd(base + rest[0], {rest[1]: 1000})
    else:
        await r.execute_command(rest[0], base + rest[1], *[base + x if rest[0] == "RENAME" else x for x in rest[2:]])


async def perform(r, queue, operation):
    """The peer's own call; its result where others can see it, or "refused"."""
    kind, *rest = operation
    scripts = queue.backend.scripts
    if kind in ("pause", "resume"):
        await getattr(queue, kind)()
    elif kind == "drain":
        await queue.drain(rest[0])
    elif kind == "promote":
        await scripts.promote(rest[0])
    elif kind == "promote all":
        # One after the other: the client's own bulk call forgets priorities and leaves the delays in the hashes.
        for id in await r.zrange(f"bull:{QUEUE}:delayed", 0, -1):
            await scripts.promote(id)
    elif kind == "retry":
        job = await queue.getJob(rest[0])
        await job.retry(rest[1], {"resetAttemptsMade": rest[2], "resetAttemptsStarted": rest[2]})
    elif kind == "retry all":
        for id in await r.zrange(f"bull:{QUEUE}:{rest[0]}", 0, -1):
            await (await queue.getJob(id)).retry(rest[0])
    elif kind == "remove":
        return await queue.remove(rest[0], {"removeChildren": rest[1]})
    elif kind == "clean":
        return await queue.clean(rest[1], rest[2], rest[0])
    elif kind == "obliterate":
        await queue.obliterate(rest[0])
    elif kind == "update data":
        await scripts.updateData(rest[0], rest[1])
    elif kind == "log":
        return await bullmq.Job.addJobLog(queue, rest[0], rest[1], rest[2])
    elif kind == "change delay":
        # The client has the script and no call for it.
        text = (pathlib.Path(bullmq.__file__).parent / "commands" / "changeDelay-4.lua").read_text()
        keys = [queue.toKey(name) for name in ("delayed", "meta", "marker", "events")]
        code = await r.eval(text, 4, *keys, rest[1], round(time.time() * 1000), rest[0], queue.toKey(rest[0]))
        if code < 0:
            raise Exception(code)
    elif kind == "change priority":
        await scripts.changePriority(*rest)
    elif kind == "global concurrency":
        await (queue.removeGlobalConcurrency() if rest[0] is None else queue.setGlobalConcurrency(rest[0]))
    elif kind == "global rate limit":
        await (queue.removeGlobalRateLimit() if rest[0] is None else queue.setGlobalRateLimit(*rest))
    return None


async def main(socket):
    options = {"unix_socket_path": socket, "decode_responses": True, "socket_timeout": None}
    r = redis.asyncio.Redis(**options)
    connection = redis.asyncio.Redis(**options)
    golden = {"added": {}, "worked": {}, "flows": {}, "operations": {}, "schedulers": {}, "scheduled": {}}
    for name, jobs in ADDED.items():
        await r.flushall()
        queue = Queue(QUEUE, {"connection": connection})
        for job_name, data, opts in jobs:
            if job_name == "!activate":
                await r.rpoplpush(f"bull:{QUEUE}:wait", f"bull:{QUEUE}:active")
            elif job_name == "!forget":
                await r.delete(f"bull:{QUEUE}:1")
            else:
                await queue.add(job_name, data, dict(opts))
        golden["added"][name] = {"jobs": jobs, "dump": await dump(r)}
        golden["added"][name]["marker"] = await r.zrange(f"bull:{QUEUE}:marker", 0, -1)
    for name, (jobs, script) in WORKED.items():
        await r.flushall()
        queue = Queue(QUEUE, {"connection": connection})
        for job_name, data, opts in jobs:
            await queue.add(job_name, data, dict(opts))
        before = await dump(r)
        terminal = len({k for k in before if k.isdigit()})
        await work(r, connection, script, terminal)
        golden["worked"][name] = {"script": script, "before": before, "terminal": terminal, "after": await dump(r)}
    for name, (child, parent, script) in FLOWS.items():
        await r.flushall()
        flow = FlowProducer({"connection": connection})
        await flow.add({
            "name": "parent", "queueName": QUEUE, "data": {}, "opts": {"jobId": "p", **parent},
            "children": [{"name": "child", "queueName": QUEUE, "data": {}, "opts": {"jobId": "c", **child}}],
        })
        before = await dump(r)
        terminal = len(script)
        await work(r, connection, script, terminal)
        golden["flows"][name] = {"child": child, "parent": parent, "script": script, "before": before, "terminal": terminal, "after": await dump(r)}
    unseen = SKIPPED - {"marker"}
    for name, (steps, operation) in OPERATIONS.items():
        await r.flushall()
        queue = Queue(QUEUE, {"connection": connection})
        for step in steps:
            await prepare(r, connection, queue, step)
        before = await dump(r, unseen)
        try:
            result = await perform(r, queue, operation)
        except Exception as error:
            if not isinstance(error, TypeError) and name not in REFUSED:
                raise
            result = "refused"
        after = await dump(r, unseen)
        if operation[0] == "remove" and operation[2]:
            # The order of the children is that of a set, which differs from server to server.
            after["events"].sort()
        golden["operations"][name] = {"operation": operation, "before": before, "after": after, "result": result}
    for name, steps in SCHEDULERS.items():
        await r.flushall()
        await schedule(r, Queue(QUEUE, {"connection": connection}), steps)
        golden["schedulers"][name] = {"steps": steps, "dump": scheduled_dump(await raw_dump(r))}
    for name, (steps, script, terminal) in SCHEDULED.items():
        await r.flushall()
        await schedule(r, Queue(QUEUE, {"connection": connection}), steps)
        await work(r, connection, script, terminal)
        golden["scheduled"][name] = {
            "steps": steps, "script": script, "terminal": terminal, "after": scheduled_dump(await raw_dump(r))}
    print(json.dumps(golden, indent=1, sort_keys=True))


if __name__ == "__main__":
    folder = tempfile.mkdtemp()
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", folder + "/s", "--save", "", "--appendonly", "no", "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if subprocess.run(["redis-cli", "-s", folder + "/s", "ping"], capture_output=True).stdout == b"PONG\n":
                break
            time.sleep(0.02)
        asyncio.run(main(folder + "/s"))
    finally:
        server.terminate()
