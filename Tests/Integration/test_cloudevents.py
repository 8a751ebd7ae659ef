"""CloudEvents through a Ferry function, with PyPI `cloudevents` as the sender and the reader of the answers."""

import datetime
import json

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

ECHO = """
import FunctionKit

struct Mirror: CloudEventFunction {
    func handle(_ event: CloudEvent, _ request: Request, _ context: Context) async throws -> CloudEvent? {
        if event.type == "drop" { return nil }
        var answer = event
        answer.extensions["tenant"] = .string(request.parameter("tenant") ?? "")
        return answer
    }
}
"""

TIME = datetime.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))

EVENTS = {
    "least": ({}, None),
    "json": ({"datacontenttype": "application/json"}, {"text": "Grüße 🚢", "list": [1, 2.5, None, True]}),
    "vendor-json": ({"datacontenttype": "application/vnd.x+json; charset=utf-8"}, {"a": 1}),
    "text": ({"datacontenttype": "text/plain"}, "Zeile 1\nZeile \"2\" €"),
    "xml": ({"datacontenttype": "application/xml"}, "<a>ä</a>"),
    "binary": ({"datacontenttype": "application/octet-stream"}, bytes(range(256))),
    "unicode": ({"subject": "Grüße \"100 %\" 🚢 a%20b", "source": "urn:größe:1", "note": "ä ö"}, None),
    "all": ({"subject": "s", "time": TIME, "dataschema": "https://example.com/schema#x", "datacontenttype": "application/json",
             "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "number": "7"}, {"x": [{}]}),
}


@pytest.fixture(scope="module")
def events_host(tmp_path_factory):
    from conftest import Host, stop_private_redis

    folder = tmp_path_factory.mktemp("events")
    function = folder / "functions" / "mirror"
    function.mkdir(parents=True)
    (function / "function.json").write_text('{ "cloudevents": "POST /events/:tenant", "maxBody": "4KiB" }')
    (function / "Mirror.swift").write_text(ECHO)
    host = Host(folder, functions=folder / "functions")
    yield host
    assert host.stop() == 0
    stop_private_redis(folder)


def event(name):
    attributes, data = EVENTS[name]
    base = {"id": f"id-{name}", "source": "/tests/ä", "type": "com.example.Täst", "specversion": "1.0"}
    return CloudEvent(base | attributes, data)


def send(host, message, path="/events/acme"):
    return host.client.post(path, message.body, headers=message.headers)


def check(answer, sent):
    assert answer.status == 200, answer.body
    headers = {name: value for name, value in answer.headers.items()
               if name.lower().startswith("ce-") or name.lower() == "content-type"}
    received = http.from_http_event(http.HTTPMessage(headers, answer.body))
    expected = sent.get_attributes() | {"tenant": "acme"}
    found = {name: value for name, value in received.get_attributes().items() if value is not None}
    assert found == {name: value for name, value in expected.items() if value is not None}
    data = received.get_data()
    # The peer reads text of another type than text/* as bytes or as text, by the mode.
    if isinstance(sent.get_data(), str) and isinstance(data, bytes):
        data = data.decode()
    assert data == sent.get_data()


@pytest.mark.parametrize("name", EVENTS)
def test_a_binary_event_round_trips(events_host, name):
    sent = event(name)
    answer = send(events_host, http.to_binary_event(sent))
    assert "ce-id" in answer.headers
    check(answer, sent)


@pytest.mark.parametrize("name", EVENTS)
def test_a_structured_event_round_trips(events_host, name):
    sent = event(name)
    answer = send(events_host, http.to_structured_event(sent))
    assert answer.headers["content-type"].startswith("application/cloudevents+json") and "ce-id" not in answer.headers
    check(answer, sent)


def test_extensions_keep_their_types_in_structured_mode(events_host):
    sent = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "flag": True, "number": -3, "text": "x",
            "data": {"exact": 12345678901234567890}}
    answer = events_host.client.post("/events/acme", json.dumps(sent),
                                     headers={"content-type": "application/cloudevents+json"})
    assert answer.json() == sent | {"tenant": "acme"}


def test_nothing_is_204(events_host):
    sent = CloudEvent({"id": "1", "source": "/s", "type": "drop", "specversion": "1.0"}, None)
    for message in (http.to_binary_event(sent), http.to_structured_event(sent)):
        answer = send(events_host, message)
        assert (answer.status, answer.body) == (204, b"")


def test_what_is_no_event_is_refused_with_every_problem(events_host):
    post = events_host.client.post
    answer = post("/events/acme", "{}", headers={"content-type": "application/json", "ce-id": "%zz"})
    fields = {detail["field"] for detail in answer.json()["details"]}
    assert (answer.status, fields) == (400, {"ce-id", "ce-source", "ce-type", "ce-specversion"})
    batch = post("/events/acme", "[]", headers={"content-type": "application/cloudevents-batch+json"})
    assert batch.status == 415
    large = post("/events/acme", "x" * 5000, headers={"content-type": "text/plain"})
    assert large.status == 413


def test_listed_and_called_by_hand(events_host):
    from test_tool import ferry

    where = ["--functions", events_host.data.parent / "functions", "--data", events_host.data]
    assert json.loads(ferry("list", "--json", *where))[0]["trigger"] == "cloudevents"
    event = '{"body":{"specversion":"1.0","id":"1","source":"/s","type":"t"},"parameters":{"tenant":"x"}}'
    assert json.loads(ferry("invoke", "mirror", "-d", event, *where))["tenant"] == "x"
    ferry("invoke", "mirror", "-d", '{"body":{},"parameters":{"tenant":"x"}}', *where, status=1)
