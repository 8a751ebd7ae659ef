"""A receiver of callbacks that checks each signature with Python's own hmac."""

import hashlib
import hmac
import http.server
import json
import threading
import time

SECRET = "a secret of these tests, thirty-two bytes or more"


class Receiver:
    """Answers the calls with the given statuses in turn, the last one for ever; `hold` keeps them waiting."""

    def __init__(self, *statuses, secret=SECRET, headers=None):
        self.calls, self.problems = [], []
        self.statuses, self.headers, self.secret = list(statuses) or [200], headers or {}, secret
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.answer(self)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="/hook?key=top-secret", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def answer(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        self.check(request, body)
        number = len(self.calls)
        self.calls.append({"path": request.path, "headers": dict(request.headers), "body": body})
        self.hold.wait(30)
        status = self.statuses[min(number, len(self.statuses) - 1)]
        try:
            request.send_response(status)
            for name, value in self.headers.items():
                request.send_header(name, value)
            request.send_header("content-length", "0")
            request.end_headers()
        except OSError:
            pass

    def check(self, request, body):
        stamp = request.headers.get("ferry-timestamp", "")
        digest = hmac.new(self.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"v1={digest}", request.headers.get("ferry-signature", "")):
            self.problems.append(("signature", dict(request.headers)))
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > 60:
            self.problems.append(("timestamp", stamp))

    @property
    def bodies(self):
        return [json.loads(call["body"]) for call in self.calls]

    def ids(self, kind=None):
        return [
            call["headers"]["Ferry-Id"] for call, body in zip(self.calls, self.bodies) if kind in (None, body["type"])
        ]

    def stop(self):
        self.hold.set()
        self.server.shutdown()
        self.server.server_close()
