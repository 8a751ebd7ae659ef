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
        self.process = None
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

    def start(self):
        environment = {"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C"}
        with open(f"{self.folder}.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder),
                 "-c", "listen_addresses="],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd="/", **self._as_user())

        def answers():
            assert self.process.poll() is None, pathlib.Path(f"{self.folder}.log").read_text()[-2000:]
            ready = [str(binaries() / "pg_isready"), "-q", "-h", str(self.folder)]
            return subprocess.run(ready, timeout=30).returncode == 0

        wait_until(answers, 60)

    def stop(self, with_signal=signal.SIGINT):
        """SIGINT cuts the clients off and shuts down; SIGQUIT is as a crash: the log is replayed at the next start."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.wait(60)
        self.process = None

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
