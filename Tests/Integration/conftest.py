"""Fixtures: hosts in processes of their own, an independent S3 server, a proxy that makes faults.

Everything listens on loopback, on ports that the system chooses, and ends with the test session by its own pid.
FERRY names the binary under test (by default the debug build); FERRY_SOAK=1 asks for full sizes.
"""

import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FERRY = os.environ.get("FERRY", str(ROOT / ".build" / "debug" / "ferry"))
SOAK = os.environ.get("FERRY_SOAK") == "1"

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import Client, FaultProxy, wait_until  # noqa: E402


def s3_client(endpoint, access_key, secret_key, **options):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=botocore.config.Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 2, "mode": "standard"}, **options
        ),
    )


def use_built_modules(data, cache=[]):
    """Gives a data folder the modules of Ferry's own functions, which are built once a session."""
    if not cache:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ferry-modules-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        command = [FERRY, "build", "--functions", str(ROOT / "functions"), "--data", str(folder)]
        subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)
        cache.append(folder / "modules")
    # A folder that is there may be in use: a mapped file must never be written to.
    if not (data / "modules").exists():
        shutil.copytree(cache[0], data / "modules")


# In one process, and with a process for each function.
WAYS = {"one process": (), "isolated": ("--isolate",)}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


class Host:
    """One `ferry serve` process, or one of another verb that serves."""

    def __init__(self, folder, functions=ROOT / "functions", config=None, args=(), env=None, binary=None, wait=True,
                 listen="127.0.0.1:0", prefix=(), pass_fds=(), verb="serve"):
        self.data = pathlib.Path(folder) / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        if pathlib.Path(functions) == ROOT / "functions" and binary is None:
            use_built_modules(self.data)
        self.log_path = pathlib.Path(folder) / f"host-{uuid.uuid4().hex[:8]}.log"
        settings = {"storage": {"port": 0}}
        for section, values in (config or {}).items():
            if isinstance(values, dict):
                settings.setdefault(section, {}).update(values)
            else:
                settings[section] = values
        self.settings = settings
        self.config_path = config_path = pathlib.Path(folder) / f"config-{uuid.uuid4().hex[:8]}.json"
        config_path.write_text(json.dumps(settings))
        self.command = [
            binary or FERRY, verb, "--data", str(self.data), "--functions", str(functions),
            "--config", str(config_path), *(["--listen", listen] if listen else []), *args,
        ]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "REDIS_", "DATABASE_URL"))}
        environment.update(env or {})
        self.log = open(self.log_path, "w")
        self.process = subprocess.Popen(
            [*prefix, *self.command], stdout=self.log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
            pass_fds=pass_fds,
        )
        self.port = None
        if wait:
            self.wait_ready()

    def text(self):
        return self.log_path.read_text(errors="replace")

    def wait_ready(self, timeout=120):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the host ended with {self.process.returncode}:\n{self.text()[-4000:]}")
            match = re.search(r"listening on https?://127\.0\.0\.1:(\d+)", self.text())
            return match and int(match.group(1))

        self.port = wait_until(ready, timeout, lambda: self.text()[-4000:])
        self.client = Client("127.0.0.1", self.port)
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def credentials(self):
        """The local endpoint's URL, bucket and key, as the host wrote them into its data folder."""
        return json.loads((self.data / "s3" / "endpoint.json").read_text())

    def s3(self, **options):
        found = self.credentials()
        return s3_client(found["endpoint"], found["accessKeyId"], found["secretAccessKey"], **options)

    @property
    def bucket(self):
        return self.credentials()["bucket"]

    def stop(self, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise AssertionError(f"the host did not stop within {timeout} s:\n{self.text()[-4000:]}")
        self.log.close()
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def make_host(tmp_path):
    hosts = []

    def make(**options):
        host = Host(options.pop("folder", tmp_path), **options)
        hosts.append(host)
        return host

    yield make
    for host in hosts:
        if host.process.poll() is None:
            host.stop()
    stop_private_redis(tmp_path)


def stop_private_redis(folder):
    """Ends a redis-server that a host killed with -9 left behind in the test's own folder."""
    for pid in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (pid / "cmdline").read_bytes().decode(errors="replace")
            if "redis-server" in command and (str(folder) in command or str(folder) in os.readlink(pid / "cwd")):
                os.kill(int(pid.name), signal.SIGTERM)
        except OSError:
            continue


@pytest.fixture(scope="session")
def host(tmp_path_factory):
    """A host on the embedded default that many tests share."""
    folder = tmp_path_factory.mktemp("host")
    host = Host(folder)
    yield host
    assert host.stop() == 0, host.text()[-4000:]
    stop_private_redis(folder)


class MiniStack:
    """MiniStack, an independent S3 server that verifies signatures, with an IAM user of its own."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = open(pathlib.Path(folder) / "ministack.log", "w")
        environment = dict(os.environ, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(self.port), AUTH="true")
        self.process = subprocess.Popen(
            [str(pathlib.Path(sys.executable).parent / "ministack")],
            stdout=self.log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
        )

        def answers():
            assert self.process.poll() is None, "MiniStack ended at once"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(answers, 60)
        iam = boto3.client(
            "iam", endpoint_url=self.endpoint, aws_access_key_id="test", aws_secret_access_key="test",
            region_name="us-east-1",
        )
        iam.create_user(UserName="ferry")
        iam.put_user_policy(
            UserName="ferry", PolicyName="all",
            PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
            ),
        )
        key = iam.create_access_key(UserName="ferry")["AccessKey"]
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        self.bucket = "ferry-tests"
        self.s3().create_bucket(Bucket=self.bucket)

    def s3(self, **options):
        return s3_client(self.endpoint, self.access_key, self.secret_key, **options)

    def config(self, endpoint=None):
        return {
            "storage": {
                "endpoint": endpoint or self.endpoint, "region": "us-east-1", "bucket": self.bucket,
                "accessKeyID": self.access_key, "secretAccessKey": self.secret_key,
            }
        }

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="session")
def ministack(tmp_path_factory):
    server = MiniStack(tmp_path_factory.mktemp("ministack"))
    yield server
    server.stop()


@pytest.fixture
def fault_proxy(ministack):
    proxy = FaultProxy("127.0.0.1", ministack.port)
    yield proxy
    proxy.stop()
