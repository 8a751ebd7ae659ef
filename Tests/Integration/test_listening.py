"""Where a host listens: Unix sockets, sockets of a service manager, PORT."""

import fcntl
import http.client
import os
import pathlib
import re
import socket
import subprocess

import pytest
from conftest import FERRY, Host
from support import wait_until
from test_functions import handler, write_function


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("unix", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def get(path, target, headers=None):
    connection = UnixConnection(path)
    try:
        connection.request("GET", target, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture
def functions(tmp_path):
    folder = tmp_path / "functions"
    for name in ("one", "two", "three"):
        write_function(folder, name, {"http": f"GET /{name}"}, handler(f'return .text("{name}")'))
    return folder


@pytest.fixture
def sockets(tmp_path_factory):
    """A TCP and a Unix socket that listen, with descriptors far from those that the shell moves them to."""
    path = tmp_path_factory.mktemp("s") / "ferry.sock"
    opened = [socket.socket(), socket.socket(socket.AF_UNIX)]
    opened[0].bind(("127.0.0.1", 0))
    opened[1].bind(str(path))
    for each in opened:
        each.listen(64)
    moved = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 100) for each in opened]
    yield opened, moved, path
    for descriptor in moved:
        os.close(descriptor)
    for each in opened:
        each.close()


def handing_over(*descriptors, count=None, process="$$"):
    """The command that starts another as a service manager would: the descriptors from 3 on, and their number."""
    moves = " ".join(f"{index}<&{descriptor}" for index, descriptor in enumerate(descriptors, 3))
    return ["bash", "-c", f'export LISTEN_FDS={count or len(descriptors)} LISTEN_PID={process}; exec "$0" "$@" {moves}']


def inodes(process):
    found = set()
    for entry in pathlib.Path(f"/proc/{process}/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except OSError:
            continue
    return found


def children(host):
    found = [int(each) for task in pathlib.Path(f"/proc/{host.process.pid}/task").iterdir()
             for each in (task / "children").read_text().split()]
    assert found, "the host has started nothing"
    return found


def test_some_functions_on_a_unix_socket(tmp_path, tmp_path_factory, functions):
    path = tmp_path_factory.mktemp("s") / "ferry.sock"
    host = Host(tmp_path, functions=functions, listen=f"unix:{path}", args=("--only", "one,three"), wait=False)
    try:
        wait_until(lambda: f"listening on unix:{path}" in host.text(), 120, host.text)
        assert get(path, "/one") == (200, b"one") and get(path, "/three") == (200, b"three")
        assert get(path, "/two")[0] == 404
    finally:
        assert host.stop() == 0
    assert not path.exists()


def test_serves_on_the_sockets_of_a_service_manager(tmp_path, functions, sockets):
    (tcp, unix), moved, path = sockets
    host = Host(tmp_path, functions=functions, listen=None, prefix=handing_over(*moved), pass_fds=moved,
                env={"PORT": "1"})
    try:
        assert host.port == tcp.getsockname()[1] and f"listening on unix:{path}" in host.text()
        assert host.client.get("/two").body == b"two" and get(path, "/two") == (200, b"two")
        # What the host has started neither sees the variables nor has the sockets.
        own = {f"socket:[{os.fstat(each.fileno()).st_ino}]" for each in (tcp, unix)}
        assert own <= inodes(host.process.pid)
        for child in children(host):
            assert not own & inodes(child)
            assert b"LISTEN_" not in pathlib.Path(f"/proc/{child}/environ").read_bytes()
    finally:
        assert host.stop() == 0
    # The sockets are the manager's: the next host takes them over, and what came between waits in them.
    assert path.exists()
    waiting = socket.create_connection(tcp.getsockname(), timeout=60)
    waiting.sendall(b"GET /one HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    second = Host(tmp_path, functions=functions, listen=None, prefix=handing_over(*moved), pass_fds=moved)
    try:
        assert b"200 OK" in waiting.recv(65536)
    finally:
        waiting.close()
        assert second.stop() == 0


def test_sockets_for_another_process_are_left_alone(tmp_path, functions, sockets):
    (tcp, _), moved, _ = sockets
    host = Host(tmp_path, functions=functions, prefix=handing_over(*moved, process="1"), pass_fds=moved)
    try:
        assert host.port != tcp.getsockname()[1]
    finally:
        assert host.stop() == 0


def test_listen_beats_the_sockets_of_a_service_manager(tmp_path, functions, sockets):
    (tcp, _), moved, _ = sockets
    host = Host(tmp_path, functions=functions, prefix=handing_over(*moved), pass_fds=moved)
    try:
        assert host.port != tcp.getsockname()[1] and host.client.get("/one").status == 200
        assert "nobody listens on the sockets of LISTEN_FDS" in host.text()
    finally:
        assert host.stop() == 0


def fails(tmp_path, functions, prefix=(), pass_fds=(), env=None):
    run = subprocess.run([*prefix, FERRY, "serve", "--functions", functions, "--data", tmp_path / "data"],
                         capture_output=True, text=True, timeout=60, cwd=tmp_path, pass_fds=pass_fds,
                         env={**os.environ, **(env or {})})
    assert run.returncode == 1, run.stderr
    return run.stderr


def test_what_is_no_listening_socket_is_refused(tmp_path, functions, sockets):
    _, moved, _ = sockets
    # Closed, or something of the process's own by then.
    assert "descriptor 5 is no" in fails(tmp_path, functions, handing_over(*moved, count=3), moved)
    assert "LISTEN_FDS must be a number" in fails(tmp_path, functions, handing_over(*moved, count="x"), moved)
    with open(tmp_path / "file", "w") as file, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        one, other = socket.socketpair()
        with one, other:
            for descriptor, reason in ((file.fileno(), "is no socket"), (datagram.fileno(), "is no stream socket"),
                                       (one.fileno(), "is a connection")):
                high = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100)
                try:
                    assert f"descriptor 3 {reason}" in fails(tmp_path, functions, handing_over(high), (high,))
                finally:
                    os.close(high)


def test_port_means_all_interfaces(tmp_path, functions):
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port = probe.getsockname()[1]
    host = Host(tmp_path, functions=functions, listen=None, env={"PORT": str(port)}, wait=False)
    try:
        wait_until(lambda: re.search(rf"listening on http://0\.0\.0\.0:{port}\b", host.text()), 120, host.text)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/one")
        assert connection.getresponse().read() == b"one"
    finally:
        assert host.stop() == 0
    assert 'PORT: must be a port number, not "http"' in fails(tmp_path, functions, env={"PORT": "http"})
