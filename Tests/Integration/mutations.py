"""Requests that were made wrong on purpose: each is a function of a seed, its number and what the host knows.

A case is what one connection sends. Its requests come of a valid one of some route, changed in one way or several; what a
host must make of it is known only where the change keeps the framing (`Case.ids`).
"""

import base64
import dataclasses
import json
import pathlib
import random
import struct
import urllib.parse

from wsclient import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

UNKNOWN_JOB = "6f9b3c1e-8d0a-4b57-9a64-0d6a1c2b3e4f"
TEXTS = [
    "", " ", "\0", "a\0b", "\r\ninjected: yes\r\n\r\n", "%0d%0ainjected:%20yes", "%00", "%", "%zz", "%c0%ae", "../../etc/passwd",
    "\u2028", "\u202e", "\ufeff", "\U0001f600" * 30, "é" * 16, "ﬀ" * 64, "\x1b[31m", "null", "true", "-1", "0", "1", "+1", "01",
    "1e9", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "NaN", "٣", "１",
    "{{7*7}}", "'; DROP TABLE jobs; --", "<script>", "${jndi:ldap://x}", "a" * 129, "a" * 5000, UNKNOWN_JOB, UNKNOWN_JOB.upper(),
    UNKNOWN_JOB.replace("-", ""), UNKNOWN_JOB + "\n", "ready", "*", "W/\"1\"", "\"4294967297\"", ",", ";", "=", "&",
]
NUMBERS = [
    "0", "-0", "1", "-1", "9999", "10000", "100000000", "100000001", "20001.0", "2e4", "1e400", "-1e400", "1e-400", "0.1e1", "01",
    "+1", ".5", "5.", "0x10", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "NaN",
    "Infinity", "--1", "1e", "1e+",
]
LITERALS = [
    "null", "true", "false", "nul", "[]", "{}", "[[]]", '""', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\u12"', '"\\x"', '"\x01"',
    '"\\ud83d\\ude00"', "'a'", "undefined", "/* */1", '"', "[", "{", ",", ":", '{"a":1,"a":2}', '{"__proto__":{}}', "[1,]", '{"a":1,}',
]
METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"PRI", b"M-SEARCH", b"X" * 40]
VALUES = [
    b"", b" ", b"\t", b"a" * 200, b"a" * 9000, b"\xff\xfe", b"\x00", b"\x7f", b"a\rb", b"a\nb", b"close", b"keep-alive", b"*", b"*/*", b"0", b"-1",
    b"99999999999999999999", "ü".encode(), b"\xed\xa0\x80", b"text/html", b"application/json", b"multipart/form-data; boundary=x", b"gzip",
    b"bytes=0-", b"https://evil.example", b"null", b"127.0.0.1, 10.0.0.1", b"::1", b"\"", b"\\\"", b"a,b,,c", b"q=0.5;;", b"=?utf-8?q?=00?=",
]
NAMES = [
    b"accept", b"accept-encoding", b"authorization", b"connection", b"content-encoding", b"content-type", b"cookie", b"expect", b"forwarded",
    b"idempotency-key", b"if-match", b"if-modified-since", b"if-none-match", b"last-event-id", b"origin", b"range", b"referer", b"te",
    b"traceparent", b"tracestate", b"trailer", b"upgrade", b"user-agent", b"via", b"x-forwarded-for", b"x-forwarded-proto", b"x-http-method-override",
    b"x-request-id", b"x-user-id", b"access-control-request-method", b"access-control-request-headers", b"sec-websocket-key",
    b"sec-websocket-version", b"sec-websocket-extensions", b"sec-websocket-protocol", b"http2-settings", b"keep-alive", b"proxy-authorization",
    b"max-forwards", b"date", b"", b"a b", b"\xc3\xa9", b"x" * 300, b":path",
]
TRACES = [
    b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"ff-" + b"a" * 32, b"00", b"-" * 55,
    b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
]


@dataclasses.dataclass
class Route:
    name: str
    kind: str
    method: str
    path: str
    auth: str = "anonymous"


def routes(folder):
    """Every route of a folder of functions, and the host's own."""
    found = [Route("health", "http", "GET", path) for path in ("/health", "/health/liveness", "/health/readiness", "/openapi.json", "/docs")]
    for path in sorted(pathlib.Path(folder).glob("*/function.json")):
        manifest = json.loads(path.read_text())
        for kind in ("http", "cloudevents", "sse", "websocket"):
            if kind in manifest:
                method, _, target = manifest[kind].rpartition(" ")
                found.append(Route(path.parent.name, kind, method or "GET", target, manifest.get("auth", "anonymous")))
    return found


@dataclasses.dataclass
class Case:
    number: int
    kind: str
    pieces: list
    # What follows when a socket was opened.
    frames: list = dataclasses.field(default_factory=list)
    # "last": the last request asks for the connection's end; "shut": our side ends after the last byte; "hold": nothing more
    # is sent; "reset": the connection is dropped.
    ending: str = "shut"
    # The request ids, in their order, where the framing is right; else None.
    ids: list = None
    # How many requests it is meant to be.
    count: int = 1
    # Whether it carries a token or a ticket that nobody signed.
    is_forged: bool = False

    @property
    def data(self):
        return b"".join(self.pieces)

    def __str__(self):
        text = f"case {self.number} ({self.kind}, then {self.ending}): pieces = {self.pieces!r}"
        text = text if len(text) < 8000 else text[:4000] + f" … {len(text)} characters … " + text[-4000:]
        return text + (f"; after 101: {self.frames!r}"[:4000] if self.frames else "")


class Request:
    """One request, taken apart."""

    def __init__(self, method, target, fields, body=None):
        self.method, self.target, self.fields, self.body = method, target, fields, body
        self.chunks = None

    def bytes(self):
        fields, body = list(self.fields), self.body or b""
        if self.chunks is not None:
            fields.append((b"transfer-encoding", b"chunked"))
            body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in self.chunks if chunk) + b"0\r\n\r\n"
        elif self.body is not None:
            fields.append((b"content-length", b"%d" % len(body)))
        head = b"%s %s HTTP/1.1\r\n" % (self.method, self.target)
        return head + b"".join(b"%s: %s\r\n" % field for field in fields) + b"\r\n" + body


class Mutator:
    """Makes cases. `knowledge` has what the host gave out: `jobs`, `cursors`, `tickets` (of job), `tokens`."""

    def __init__(self, seed, routes, jobs, cursors=(), tickets=None, tokens=()):
        self.seed, self.routes, self.jobs, self.cursors = seed, routes, list(jobs), list(cursors)
        self.tickets, self.tokens = tickets or {}, list(tokens)
        self.kinds = [
            ("valid", 4, self.well_framed), ("body", 22, self.body), ("query", 14, self.query), ("fields", 16, self.fields),
            ("path", 10, self.path), ("line", 5, self.line), ("framing", 8, self.framing), ("bytes", 10, self.scrambled),
            ("pipeline", 6, self.pipeline), ("socket", 7, self.socket), ("stream", 5, self.stream), ("oversized", 2, self.oversized),
            ("garbage", 3, self.garbage), ("held", 1, self.held),
        ]
        if self.tokens:
            self.kinds += [("token", 10, self.token), ("ticket", 4, self.ticket)]

    def case(self, number):
        self.random = random.Random(f"{self.seed}:{number}")
        self.number = number
        kind, _, make = self.random.choices(self.kinds, [weight for _, weight, _ in self.kinds])[0]
        case = make()
        case.number, case.kind = number, kind
        return case

    # Valid requests

    def chance(self, share):
        return self.random.random() < share

    def pick(self, options):
        return self.random.choice(options)

    def base(self, route=None, kinds=("http", "cloudevents")):
        route = route or self.pick([route for route in self.routes if route.kind in kinds])
        job = self.pick(self.jobs) if self.chance(0.8) else UNKNOWN_JOB
        target = "/".join(job if part.startswith(":") else part for part in route.path.split("/"))
        fields = [(b"host", b"fuzz.test")]
        if self.tokens and self.chance(0.9):
            fields.append((b"authorization", b"Bearer " + self.pick(self.tokens).encode()))
        body = None
        if route.method in ("POST", "PUT", "PATCH"):
            body = json.dumps(self.document(route)).encode()
            fields.append((b"content-type", b"application/json"))
        return Request(route.method.encode(), target.encode(), fields, body)

    def document(self, route):
        if route.name in ("check", "start"):
            return {"file_id": self.random.randint(20_001, 20_010)}
        if route.name == "initiate":
            document = {"file_ids": [self.random.randint(20_001, 30_000) for _ in range(self.random.randint(1, 3))]}
            if self.chance(0.3):
                document["archive_name"] = self.pick(["a", "b.zip", "ü"])
            if self.chance(0.3):
                document["on_missing"] = self.pick(["skip", "fail"])
            return document
        return {}

    def single(self, request, position=0):
        """The request with an id of its own, which its answer must carry."""
        identity = b"fz-%d-%d" % (self.number, position)
        request.fields.append((b"x-request-id", identity))
        return request.bytes(), identity.decode()

    def well_framed(self):
        if self.chance(0.1):
            return Case(0, "", self.cut(self.base().bytes()), ending="reset")
        return self.finish(self.base())

    def cut(self, data):
        if self.chance(0.8) or len(data) < 2:
            return [data]
        places = sorted(self.random.randrange(len(data)) for _ in range(self.random.randint(1, 6)))
        return [data[start:end] for start, end in zip([0, *places], [*places, len(data)]) if start < end]

    def finish(self, request):
        if request.body is not None and self.chance(0.2):
            size = self.random.randint(1, 1 + len(request.body))
            request.chunks = [request.body[start : start + size] for start in range(0, len(request.body), size)]
        ending = "last" if self.chance(0.7) else "shut"
        if ending == "last":
            request.fields.append((b"connection", b"close"))
        data, identity = self.single(request)
        return self.clean(Case(0, "", self.cut(data), ids=[identity], ending=ending))

    # Bodies

    def body(self):
        request = self.base(self.pick([route for route in self.routes if route.method in ("POST", "PUT", "PATCH")]))
        text = request.body.decode()
        for _ in range(self.random.randint(1, 3)):
            text = self.json_text(text)
        request.body = text.encode("utf-8", "surrogatepass")
        if self.chance(0.15):
            request.body = self.scramble(request.body)
        if self.chance(0.05):
            request.body = text.encode(self.pick(["utf-16", "utf-32", "utf-8-sig", "latin-1"]), "replace")
        if self.chance(0.1):
            request.fields = [field for field in request.fields if field[0] != b"content-type"]
            request.fields.append((b"content-type", self.pick(VALUES[:2] + [b"application/json; charset=utf-16", b"text/json", b"a/b+json", b";"])))
        return self.finish(request)

    def json_text(self, text):
        choice = self.random.randrange(10)
        if choice == 0:
            return self.pick(LITERALS + NUMBERS)
        if choice == 1:
            depth = self.pick([1, 30, 31, 32, 33, 64, 511, 513, 5000, 100_000])
            opening, closing = self.pick([("[", "]"), ('{"file_ids":', "}"), ('{"a":', "}"), ("[", ""), ('[{"a":', "}]")])
            return (opening * depth + self.pick([text, "1", ""]) + closing * depth)[:900_000]
        if choice == 2:
            return text + self.pick([" x", "}", "\0", ",", "\n\n", text, "//", "\ufeff"])
        if choice == 3:
            return self.pick(["\ufeff", " " * 1000, "\0", ")]}',\n", "\x0b"]) + text
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return text[: self.random.randint(0, len(text))] if self.chance(0.5) else text.replace('"', "'", 1)
        places = []
        self.walk(document, None, None, places, 0)
        parent, key = self.pick(places)
        mark = "\ue000mark\ue000"
        if parent is None or choice == 4:
            name = self.pick(["file_ids", "file_id", "archive_name", "on_missing", "callback_url", "unknown", "", "\0", "a" * 70])
            inner = text.strip()
            return inner[:-1] + ("," if len(inner) > 2 else "") + json.dumps(name) + ":" + self.value() + inner[-1:]
        parent[key] = mark
        return json.dumps(document).replace(json.dumps(mark), self.value())

    def walk(self, value, parent, key, places, depth):
        places.append((parent, key))
        if depth < 8 and isinstance(value, (dict, list)):
            for inner, child in list(value.items() if isinstance(value, dict) else enumerate(value))[:20]:
                self.walk(child, value, inner, places, depth + 1)

    def value(self):
        choice = self.random.randrange(6)
        if choice == 0:
            return self.pick(NUMBERS)
        if choice == 1:
            return self.pick(LITERALS)
        if choice == 2:
            return json.dumps(self.pick(TEXTS), ensure_ascii=self.chance(0.5))
        if choice == 3:
            return "[" + ",".join(self.pick(NUMBERS) for _ in range(self.pick([0, 1, 3, 999, 1000, 1001, 20_000]))) + "]"
        if choice == 4:
            return json.dumps([20_001] * self.pick([1, 2, 1000, 1001]))
        return json.dumps({self.pick(TEXTS): self.pick(TEXTS)})

    # Targets

    def query(self):
        wanted = self.pick(["jobs", "jobs", "status", None])
        route = self.pick([route for route in self.routes if route.kind == "http" and wanted in (None, route.name)])
        request = self.base(route)
        names = {"jobs": ["status", "limit", "cursor", "cursor"], "status": ["wait"]}.get(route.name, ["since", "ticket"])
        pairs = []
        for _ in range(self.random.randint(1, 3)):
            name = self.pick(names if self.chance(0.85) else ["x", "", "wait", "cursor", "%00"])
            if name == "cursor" and self.chance(0.85):
                text = self.cursor()
            elif name == "limit" and self.chance(0.5):
                text = self.pick(["1", "100", "0", "101", "-1", "007", "1.5", "１"])
            elif name == "wait" and self.chance(0.7):
                text = self.pick(["1", "0", "31", "+1", "1.0", " 1", "01", "１"])
            else:
                text = self.pick(TEXTS)
            pairs.append(self.escaped(name) + self.pick(["=", "=", "=", "", "=="]) + self.escaped(text))
        request.target += b"?" + self.pick(["&", "&", "&&", ";"]).join(pairs).encode()
        request.target = request.target[:8000]
        return self.finish(request)

    def cursor(self):
        text = self.pick(self.cursors) if self.cursors and self.chance(0.7) else "mh3k2jx4." + UNKNOWN_JOB.replace("-", "")
        time, _, job = text.partition(".")
        return self.pick([
            text, self.scramble(text.encode()).decode("latin-1"), time + "." + "é" * 16, time + "." + "\U0001f600" * 8, "z" * 11 + "." + job,
            "-1." + job, "+1." + job, "é." + job, "." + job, time + ".", text + ".", text * 2, time + "." + "g" * 32, "0." + job, time + "." + job.upper(),
        ])

    def escaped(self, text):
        if self.chance(0.1):
            return "".join(f"%{byte:02x}" for byte in text.encode())
        safe = urllib.parse.quote(text, safe="" if self.chance(0.9) else "%/?:@!$'()*+,;=")
        return safe.replace("%20", "+") if self.chance(0.2) else safe

    def path(self):
        request = self.base(kinds=("http", "sse", "websocket"))
        parts = request.target.split(b"/")
        for _ in range(self.random.randint(1, 2)):
            place = self.random.randrange(1, len(parts))
            change = self.random.randrange(7)
            if change == 0:
                parts[place] = self.escaped(self.pick(TEXTS)).encode()[:3000]
            elif change == 1:
                parts.insert(place, self.pick([b"", b".", b"..", b"%2e%2e", b"%2f", b";a=b", b"*", b":jobId", b"%00"]))
            elif change == 2:
                parts[place] = b"".join(b"%%%02x" % byte for byte in parts[place])
            elif change == 3:
                parts[place] = parts[place].upper()
            elif change == 4:
                parts[place] += self.pick([b"%", b"%4", b"%zz", b"%ff", b"%ed%a0%80", b"%c0%80", b"%0a", b"%0d%0ainjected:%20yes", b"?", b"?a", b"+"])
            elif change == 5 and len(parts) > 2:
                del parts[place]
            else:
                parts += self.pick([[b""], [b"x"], [b""] * 50, [b"a"] * 500])
        request.target = b"/".join(parts)[:8000] or b"/"
        return self.finish(request)

    def line(self):
        request = self.base()
        data = request.bytes()
        _, _, rest = data.partition(b"\r\n")
        target = self.pick([
            request.target, b"*", b"http://fuzz.test" + request.target, b"https://a:b@x/", b"HTTP://x", b"http://", b"//x/y", b"x", b"\\", request.target + b"#f",
            b"/\xc3\xa9", b"/ x", b"/\x00", b"fuzz.test:80", b"/" + b"a" * 8200, b"http://[::1]:3000/", b"http://[/", b"/?" + b"a=b&" * 1000,
        ])
        version = self.pick([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.", b"HTTP/11.1", b"http/1.1", b"", b"HTTP/1.1 ", b"ICY/1.0"])
        space = self.pick([b" ", b" ", b" ", b"  ", b"\t", b""])
        ending = self.pick([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\0\r\n"])
        start = self.pick([b"", b"", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"\0", b"\xef\xbb\xbf"])
        return Case(0, "", self.cut(start + self.pick(METHODS) + space + target + space + version + ending + rest))

    # Fields

    def fields(self):
        request = self.base(kinds=("http", "cloudevents", "sse"))
        wild = False
        for _ in range(self.random.randint(1, 4)):
            name = self.pick(NAMES)
            value = self.field_value(name)
            wild |= name in (b"connection", b"expect", b"host", b"upgrade", b"content-length", b"transfer-encoding", b"x-request-id")
            wild |= not name or any(byte in b" :\t" or byte > 126 for byte in name) or any(byte in b"\r\n\0\x7f" for byte in value)
            fields = request.fields
            if self.chance(0.2):
                fields.append((name, self.pick(VALUES)))
                wild |= any(byte in b"\r\n\0\x7f" for byte in fields[-1][1])
            if self.chance(0.2):
                request.fields = [field for field in request.fields if field[0] != name]
            request.fields.append((name.title() if self.chance(0.2) else name, value))
        if self.chance(0.05):
            request.fields = [field for field in request.fields if field[0] != b"host"]
            wild = True
        case = self.finish(request)
        if wild:
            case.ids = None
        return case

    def field_value(self, name):
        if name == b"traceparent":
            return self.pick(TRACES + [self.scramble(TRACES[0])])
        if name == b"authorization":
            return self.pick([b"Bearer", b"Bearer ", b"bearer  x", b"Basic eDp5", b"Bearer a.b.c", b"Bearer " + b"." * 500, b"Bearer " + b"a" * 9000, b"\xff"])
        if name == b"idempotency-key":
            return self.pick([b"key-%d" % self.random.randrange(20), b"", b"k" * 255, b"k" * 256, b"\xc3\xa9", b"a b", b"\"quoted\""])
        if name in (b"last-event-id", b"if-none-match") and self.chance(0.7):
            return self.pick([b"4294967297", b"\"4294967297\"", b"*", b"W/\"1\", \"2\"", b"-1", b"99999999999999999999", b"1e3", b",,,", b"\"" * 99])
        if name == b"expect" and self.chance(0.6):
            return b"100-continue"
        return self.pick(VALUES)

    def clean(self, case):
        """A head with bytes that end the connection makes no well-framed request."""
        head = case.data.partition(b"\r\n\r\n")[0]
        if len(head) > 16_000 or any(byte < 32 and byte != 9 or byte == 127 for byte in head.replace(b"\r\n", b"")):
            case.ids = None
        return case

    # Framing

    def framing(self):
        request = self.base(self.pick([route for route in self.routes if route.method in ("POST", "PUT", "PATCH")]))
        body = request.body
        head = request.bytes()
        head = head[: head.index(b"content-length")]
        lengths = [b"%d" % len(body), b"%d" % (len(body) + 3), b"0", b"-1", b"+5", b"5 5", b"5,5", b"0x5", b"99999999999999999999999", b"", b" ", b"1e1", b"\xd9\xa3"]
        codings = [b"chunked", b"Chunked", b"chunked, chunked", b"gzip, chunked", b"identity", b"", b"chunked;x", b"\x0bchunked", b"xchunked", b"chunked\t"]
        for _ in range(self.random.randint(1, 3)):
            if self.chance(0.5):
                head += b"content-length" + self.pick([b":", b": ", b" :", b":\t"]) + self.pick(lengths) + b"\r\n"
            else:
                head += b"transfer-encoding" + self.pick([b":", b": ", b" :", b":\r\n "]) + self.pick(codings) + b"\r\n"
        if self.chance(0.2):
            head += b"expect: 100-continue\r\n"
        size = self.pick([b"%x" % len(body), b"%X" % len(body), b"0%x" % len(body), b"-1", b"ffffffffffffffff", b"7fffffffffffffff", b"", b"g", b"1 ", b"%x;" % len(body) + b"e" * self.pick([0, 5, 20_000])])
        chunked = size + self.pick([b"\r\n", b"\n", b"\r"]) + body + self.pick([b"\r\n", b"\n", b""]) + self.pick([b"0\r\n\r\n", b"0\r\n", b"0\r\na: b\r\n\r\n", b"00000000000\r\n\r\n", b"0\r\n x\r\n\r\n", b""])
        tail = self.pick([body, chunked, chunked, b""]) + self.pick([b"", b"GET /health/liveness HTTP/1.1\r\nhost: x\r\n\r\n"])
        return Case(0, "", self.cut(head + b"\r\n" + tail))

    def scrambled(self):
        request = self.base(kinds=("http", "sse", "websocket", "cloudevents"))
        return Case(0, "", self.cut(self.scramble(self.single(request)[0])))

    def scramble(self, data):
        data = bytearray(data)
        for _ in range(self.random.randint(1, 5)):
            if not data:
                break
            place = self.random.randrange(len(data))
            change = self.random.randrange(6)
            if change == 0:
                data[place] ^= 1 << self.random.randrange(8)
            elif change == 1:
                data[place] = self.random.randrange(256)
            elif change == 2:
                del data[place : place + self.random.randint(1, 12)]
            elif change == 3:
                data[place:place] = self.random.randbytes(self.random.randint(1, 8))
            elif change == 4:
                data[place:place] = data[place : place + self.random.randint(1, 40)]
            else:
                del data[place:]
        return bytes(data)

    def pipeline(self):
        parts, ids = [], []
        size = self.random.randint(2, 12)
        for position in range(size):
            request = self.base()
            if position == size - 1:
                request.fields.append((b"connection", b"close"))
            if self.chance(0.3):
                request.target += b"?" + self.pick([b"limit=0", b"cursor=x", b"wait=0", b"%zz"])
            if request.body is not None and self.chance(0.5):
                request.body = self.json_text(request.body.decode()).encode("utf-8", "surrogatepass")
            data, identity = self.single(request, position)
            parts.append(data)
            ids.append(identity)
        data = b"".join(parts)
        if self.chance(0.3):
            return Case(0, "", self.cut(b"".join(parts[:-1]) + self.scramble(parts[-1])), count=size)
        return Case(0, "", self.cut(data), ids=ids, count=size, ending="last")

    def oversized(self):
        request = self.base()
        choice = self.random.randrange(5)
        if choice == 0:
            request.fields += [(b"x-%d" % number, b"v") for number in range(self.pick([98, 101, 2000]))]
        elif choice == 1:
            request.fields.append((b"x", b"v" * self.pick([16_000, 17_000, 200_000])))
        elif choice == 2:
            request.target += b"?" + b"q" * self.pick([8100, 9000, 100_000])
        elif choice == 3 and request.body is not None:
            request.body = self.pick([b"[" + b"1," * 400_000 + b"1]", b" " * 1_048_577, b"\"" + b"a" * 1_000_000 + b"\"", b"{" * 1_048_576])
        else:
            data = request.bytes()
            return Case(0, "", [data[:-4] + b"\r\ncontent-length: 1073741824\r\n\r\n" + b"a" * 300_000])
        return Case(0, "", [request.bytes()])

    def garbage(self):
        data = self.pick([
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + self.random.randbytes(200), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
            self.random.randbytes(self.random.randint(1, 3000)), b"\r\n" * 1000, b"\n" * 100, b"\0" * 500, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
            b"EHLO x\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 50, b"*1\r\n$4\r\nPING\r\n", b"G", b"",
        ])
        return Case(0, "", [data], ending=self.pick(["shut", "shut", "reset"]))

    def held(self):
        """A client that stops in the middle and waits for the host to give up."""
        data = self.base().bytes()
        return Case(0, "", [data[: self.random.randint(1, len(data) - 1)]], ending="hold")

    # Streams and sockets

    def stream(self):
        request = self.base(kinds=("sse",))
        if self.chance(0.6):
            request.fields.append((b"last-event-id", self.field_value(b"last-event-id")))
        if self.chance(0.4):
            request.target += b"?since=" + self.escaped(self.pick(TEXTS)).encode()[:2000]
        if self.chance(0.2):
            request.target += self.pick([b"?ticket=x", b"&ticket=a.b", b"?ticket=" + b"a" * 3000])
        case = self.finish(request)
        case.ending = self.pick(["hold", "hold", "shut", "reset"])
        return case

    def socket(self):
        request = self.base(kinds=("websocket",))
        handshake = [
            (b"connection", b"Upgrade"), (b"upgrade", b"websocket"), (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ]
        if self.chance(0.3):
            handshake.append((b"sec-websocket-extensions", self.pick([
                b"permessage-deflate", b"permessage-deflate; client_max_window_bits=8", b"permessage-deflate; server_max_window_bits=99", b",,;", b"permessage-deflate;" * 50,
                b"permessage-deflate; client_max_window_bits; client_max_window_bits", b"x; y=\"z\"", b"permessage-deflate; server_no_context_takeover=1",
            ])))
        if self.chance(0.35):
            place = self.random.randrange(len(handshake))
            handshake[place] = (handshake[place][0], self.pick(VALUES + [b"h2c", b"8", b"AAAA", b"websocket, h2c", b"keep-alive, upgrade"]))
        if self.chance(0.1):
            del handshake[self.random.randrange(len(handshake))]
        if self.chance(0.2):
            request.target += b"?since=" + self.escaped(self.pick(TEXTS)).encode()[:2000]
        if self.chance(0.2):
            request.fields.append((b"origin", self.pick(VALUES)))
        request.fields += handshake
        case = Case(0, "", self.cut(request.bytes()), ending=self.pick(["hold", "shut", "shut", "reset"]))
        case.frames = self.cut(b"".join(self.frame() for _ in range(self.random.randint(1, 20))))
        if self.chance(0.3):
            case.frames = self.cut(self.scramble(b"".join(case.frames)))
        if self.chance(0.1):
            # Frames that come before anybody agreed to them.
            case.pieces += case.frames
            case.frames = []
        return case

    def frame(self):
        payload = self.pick([
            b'{"type":"ping"}', b'{"type":"pong"}', b"", b"x", b"{", b"\xff\xfe", b"\xed\xa0\x80", b'{"type":' + b"[" * 3000, b'{"type":1}', b"\0" * 100, b"a" * 125, b"a" * 126,
            b"a" * 4096, b"a" * 4097, b"\x03\xe8", b"\x03\xe8bye", b"\x00", b"\x03\xec", b"\xff\xff", b"\x03\xe8\xff", self.random.randbytes(20),
        ])
        opcode = self.pick([TEXT, TEXT, TEXT, BINARY, PING, PONG, CLOSE, CONTINUATION, 3, 7, 11, 15])
        length = None
        if self.chance(0.1):
            length = self.pick([0, 1, 125, 65_535, 65_536, 1 << 31, (1 << 63) - 1, (1 << 64) - 1])
        data = self.masked(opcode, payload, self.chance(0.9), self.pick([0, 0, 0, 0, 4, 2, 1, 7]), self.chance(0.95), length)
        if self.chance(0.05):
            # Not the shortest form.
            data = bytes([data[0], 0x80 | 127]) + struct.pack("!Q", 3) + b"\0\0\0\0abc"
        return data

    def masked(self, opcode, payload, fin, rsv, mask, length):
        """As `frame`, with a mask that the seed decides."""
        data = frame(opcode, payload, fin, rsv, False, length)
        if not mask:
            return data
        start = len(data) - len(payload)
        key = self.random.randbytes(4)
        body = bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
        return bytes([data[0], data[1] | 0x80]) + data[2:start] + key + body

    # Identity

    def token(self):
        route = self.pick([route for route in self.routes if route.auth == "user" and route.kind == "http"])
        request = self.base(route)
        request.fields = [field for field in request.fields if field[0] != b"authorization"]
        valid = self.pick(self.tokens)
        forged = self.forged(valid)
        request.fields.append((b"authorization", b"Bearer " + forged))
        case = self.finish(request)
        if any(byte < 0x21 or byte > 0x7E for byte in forged):
            case.ids = None
        case.is_forged = forged.decode("latin-1") not in self.tokens
        return case

    def forged(self, valid):
        head, body, signature = valid.split(".")
        choice = self.random.randrange(8)
        if choice == 0:
            return self.scramble(valid.encode()).replace(b"\r", b"").replace(b"\n", b"").strip() or b"x"
        if choice == 1:
            return f"{head}.{body}.".encode()
        if choice == 2:
            return b".".join([encoded({"alg": self.pick(["none", "None", "HS256", "", None, 1]), "kid": "k"}), body.encode(), signature.encode()])
        if choice == 3:
            claims = {"sub": self.pick(["alice", "", None, 1, "a" * 300, "\0"]), "exp": self.pick([1e300, -1, "x", None, 1e11, True]), "aud": self.pick([[], {}, "ferry"])}
            return b".".join([head.encode(), encoded(claims), signature.encode()])
        if choice == 4:
            return b".".join([head.encode(), body.encode(), self.pick([b"", b"AA", b"_" * 86, b"A" * 86, b"A" * 342, b"=" * 4, signature.encode() + b"A"])])
        if choice == 5:
            return self.pick([b"..", b".", b"a.b", b"a.b.c.d", b"A" * 8200, b"." * 100, b"e30.e30.", b"bnVsbA.bnVsbA.AA"])
        if choice == 6:
            return b".".join([encoded_text(self.pick(["[" * 5000, "{", "\0", '{"alg":"ES256","alg":"none"}', '{"alg":"ES256","crit":["x"]}'])), body.encode(), signature.encode()])
        return b".".join([signature.encode(), body.encode(), head.encode()])

    def ticket(self):
        request = self.base(kinds=("sse",))
        request.fields = [field for field in request.fields if field[0] != b"authorization"]
        job, ticket = self.pick(list(self.tickets.items()))
        changed = self.scramble(ticket.encode()) if self.chance(0.6) else self.pick([b"", b".", b"a.b", ticket.encode() + b"A", b".".join(reversed(ticket.encode().split(b".")))])
        target = request.target.rpartition(b"/")[0] + b"/" + job.encode()
        request.target = target + b"?ticket=" + urllib.parse.quote(changed, safe="-_.~").encode()
        case = self.finish(request)
        case.ending = "hold"
        case.is_forged = True
        if changed == ticket.encode():
            case.is_forged = False
        return case


class S3Mutator(Mutator):
    """Makes cases for an S3 endpoint, of requests that were signed: (method, target)."""

    NAMES = [
        b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"content-md5", b"content-type", b"expect", b"accept-encoding",
        b"x-amz-acl", b"x-amz-copy-source", b"x-amz-copy-source-range", b"x-amz-meta-a", b"x-amz-content-sha256", b"x-amz-decoded-content-length", b"x-amz-date",
        b"x-amz-sdk-checksum-algorithm", b"x-amz-checksum-crc32", b"x-amz-tagging", b"authorization", b"content-encoding", b"x-id",
    ]
    VALUES = [
        b"bytes=0-", b"bytes=-5", b"bytes=5-1", b"bytes=99999999999999999999-", b"bytes=0-0,2-3", b"bytes=a-b", b"*", b'"x"', b"Fri, 27 Nov 2026 10:00:00 GMT", b"never",
        b"/ferry/downloads/20001.zip", b"/ferry/%00", b"ferry", b"/", b"aws-chunked", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        b"UNSIGNED-PAYLOAD", b"20260101T000000Z", b"CRC32", b"AAAA", b"AAAAAA==", b"AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        b"AWS4-HMAC-SHA256 ", b"100-continue", b"-1", b"0", b"", b"a" * 3000, b"\xff",
    ]
    BODIES = [
        b"", b"x", b"<", b"<Delete><Object><Key>a</Key></Object></Delete>", b"<Delete>" + b"<a>" * 5000, b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"&#x0;", b"<a b='", b"\xff\xfe<\0a\0>\0", b"5;chunk-signature=0\r\nabcde\r\n0\r\n\r\n", b"x" * 100_000,
    ]

    def __init__(self, seed, signed, host):
        routes = [Route("s3", "http", method, target) for method, target in signed]
        super().__init__(seed, routes, ["x"])
        self.host = host
        self.kinds = [
            ("fields", 30, self.fields), ("target", 20, self.target), ("bytes", 15, self.scrambled), ("line", 5, self.line), ("framing", 5, self.framing),
            ("garbage", 5, self.garbage), ("oversized", 1, self.oversized),
        ]

    def base(self, route=None, kinds=()):
        route = route or self.pick(self.routes)
        body = self.pick(self.BODIES) if route.method in ("PUT", "POST") else None
        return Request(route.method.encode(), route.path.encode(), [(b"host", self.host.encode())], body)

    def fields(self):
        request = self.base()
        request.fields += [(self.pick(self.NAMES), self.pick(self.VALUES)) for _ in range(self.random.randint(1, 3))]
        if request.body is not None and self.chance(0.3):
            request.body = self.scramble(request.body)
        return self.finish(request)

    def target(self):
        request = self.base()
        path, _, query = request.target.partition(b"?")
        pairs = query.split(b"&")
        place = self.random.randrange(len(pairs))
        pairs[place] = self.pick([
            self.scramble(pairs[place]), b"", pairs[place].partition(b"=")[0], pairs[place] + b"%zz", b"uploads", b"delete", b"list-type=2&max-keys=-1", b"partNumber=0", b"X-Amz-Expires=1e9",
            b"X-Amz-Date=x", b"continuation-token=" + self.escaped(self.pick(TEXTS)).encode()[:1500], b"prefix=" + self.escaped(self.pick(TEXTS)).encode()[:1500],
        ])
        request.target = (self.scramble(path) if self.chance(0.3) else path).replace(b" ", b"") + b"?" + b"&".join(pairs).replace(b" ", b"")
        case = self.finish(request)
        case.ids = None
        return case


def encoded_text(text):
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")


def encoded(value):
    return encoded_text(json.dumps(value))
