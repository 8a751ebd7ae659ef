"""A PostgreSQL server of the tests' own: a fresh cluster, on a Unix socket alone, run as another user where we are root."""

import getpass
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse

from support import wait_until


def binaries():
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("[0-9]*"), key=lambda path: int(path.name))
    if versions:
        return versions[-1] / "bin"
    found = shutil.which("initdb")
    assert found, "PostgreSQL is missing; scripts/setup test installs it"
    return pathlib.Path(found).parent


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class PostgreSQL:
    def __init__(self):
        # The path of a socket has at most 107 bytes, so not under pytest's own folder.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-pg-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.user = getpass.getuser()
        if os.getuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            self.user = "postgres" if "postgres" in known else "nobody"
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.process, self.options = None, ["-c", "listen_addresses="]
        self._run([binaries() / "initdb", "-D", self.folder / "data", "-A", "trust", "-U", "ferry", "-E", "UTF8",
                   "--locale=C", "--no-sync"])
        self.start()

    def _as_user(self):
        if os.getuid() != 0:
            return {}
        account = pwd.getpwnam(self.user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _run(self, command):
        environment = {"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C"}
        result = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, env=environment, cwd="/", timeout=120,
            **self._as_user())
        assert result.returncode == 0, result.stdout + result.stderr

    def start(self, port=5432):
        environment = {"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C"}
        with open(f"{self.folder}.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder),
                 *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", **self._as_user())

        def answers():
            assert self.process.poll() is None, pathlib.Path(f"{self.folder}.log").read_text()[-2000:]
            ready = [str(binaries() / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(port)]
            return subprocess.run(ready, timeout=30).returncode == 0

        wait_until(answers, 60)

    def stop(self, with_signal=signal.SIGINT):
        """SIGINT cuts the clients off and shuts down; SIGQUIT is as a crash: the log is replayed at the next start.

        SIGKILL ends the first process alone; what it leaves ends by itself, and keeps the next server from starting until
        then.
        """
        if self.process and self.process.poll() is None:
            others = subprocess.run(
                ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, timeout=30).stdout.split()
            self.process.send_signal(with_signal)
            self.process.wait(60)
            wait_until(lambda: not any(map(is_running, others)), 60)
        self.process = None

    def use_tls(self, certificate, key, port):
        """Listens on 127.0.0.1, too, and takes connections over TLS alone there."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            target = self.folder / "data" / name
            shutil.copy(source, target)
            target.chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(target, self.user)
        with open(self.folder / "data" / "pg_hba.conf", "w") as rules:
            rules.write("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
        self.options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", "ssl=on"]
        self.stop()
        self.start(port)

    def url(self, database="postgres"):
        return f"postgresql://ferry@{urllib.parse.quote(str(self.folder), safe='')}/{database}"

    def query(self, sql, database="postgres"):
        """The rows, each a list of texts, as psql has them."""
        result = subprocess.run(
            [str(binaries() / "psql"), "-X", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql,
             self.url(database)],
            capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stderr
        return [line.split("\t") for line in result.stdout.splitlines()]

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        pathlib.Path(f"{self.folder}.log").unlink(missing_ok=True)
