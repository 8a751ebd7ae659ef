"""Runs a command with a MiniStack of its own, which the tests of the S3 client talk to, and stops it afterwards.

Usage: with_servers.py COMMAND [ARGUMENT ...]
"""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Integration"))
from conftest import MiniStack  # noqa: E402

with tempfile.TemporaryDirectory(prefix="ferry-servers-") as folder:
    server = MiniStack(folder)
    try:
        environment = dict(
            os.environ,
            FERRY_TEST_REQUIRE_SERVERS="1",
            FERRY_TEST_S3_ENDPOINT=server.endpoint,
            FERRY_TEST_S3_ACCESS=server.access_key,
            FERRY_TEST_S3_SECRET=server.secret_key,
            FERRY_TEST_S3_BUCKET=server.bucket,
            FERRY_PYTHON=sys.executable,
        )
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)
    finally:
        server.stop()
