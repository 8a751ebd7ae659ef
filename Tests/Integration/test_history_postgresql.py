"""The history in PostgreSQL: hosts that start at once, a server that restarts during a run, the commands."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import FERRY, SOAK, use_built_modules
from postgres import PostgreSQL
from support import check_archive, wait_until
from test_main_job import put_sources

JOBS, RESTARTS = (500, 6) if SOAK else (30, 3)


@pytest.fixture(scope="module")
def server():
    server = PostgreSQL()
    yield server
    server.remove()


@pytest.fixture
def database(server, numbers=itertools.count()):
    name = f"d{next(numbers)}"
    server.query(f"CREATE DATABASE {name}")
    return name


def history(server, *arguments, database, folder, name="DATABASE_URL"):
    environment = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "FERRY_HISTORY_URL")}
    if database:
        environment[name] = server.url(database)
    return subprocess.run(
        [FERRY, "history", *arguments], capture_output=True, text=True, timeout=120, cwd=folder, env=environment)


def test_two_hosts_that_start_at_once_make_the_tables_once(make_host, server, database, tmp_path):
    # So that they start at the same moment: compiled modules are there already.
    (tmp_path / "data").mkdir()
    use_built_modules(tmp_path / "data")
    config = {"history": {"url": server.url(database)}}
    hosts = [make_host(config=config, wait=False) for _ in range(2)]
    for host in hosts:
        host.wait_ready()
    versions = [row[0] for row in server.query("SELECT version FROM ferry_migrations ORDER BY 1", database)]
    assert versions == [str(number + 1) for number in range(len(versions))] and versions
    put_sources(hosts[0].s3(), hosts[0].bucket, {20_001: b"hello\n", 20_002: b"there"})
    job_id = hosts[0].client.initiate([20_002, 20_001, 10_777])
    job = hosts[1].client.finished(job_id)
    assert job["status"] == "ready"
    check_archive(hosts[1].client.archive(job_id), {"20002.zip": b"there", "20001.zip": b"hello\n"}, tmp_path)

    def row():
        sql = f"""SELECT status, total_files, processed_files, failed_files, file_ids, created_at <= updated_at
            FROM download_jobs WHERE job_id = '{job_id}'"""
        return server.query(sql, database) == [["ready", "3", "3", "1", "{20002,20001,10777}", "t"]]

    wait_until(row, 30, lambda: server.query("SELECT * FROM download_jobs", database))
    files = server.query("SELECT file_id, status FROM file_records ORDER BY position", database)
    assert files == [["20002", "completed"], ["20001", "completed"], ["10777", "failed"]]
    assert not (tmp_path / "data" / "history.sqlite").exists()
    server.query("DELETE FROM download_jobs", database)
    assert server.query("SELECT count(*) FROM file_records", database) == [["0"]]


def test_every_accepted_job_finishes_although_the_server_restarts(make_host, tmp_path):
    server = PostgreSQL()
    try:
        config = {"history": {"url": server.url()}, "http": {"accessLog": False}}
        host = make_host(config=config)
        contents = {20_000 + number: os.urandom(200_000) for number in range(5)}
        put_sources(host.s3(), host.bucket, contents)
        accepted, refused, over = [], [], threading.Event()

        def accept(number):
            time.sleep(number * 0.08)
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                answer = host.client.post("/v1/download/initiate", {"file_ids": list(contents)})
                if answer.status == 202:
                    accepted.append(answer.json()["jobId"])
                    return
                assert answer.status == 503, answer.body
                refused.append(number)
                time.sleep(0.2)
            raise AssertionError("never accepted")

        def restart():
            for number in range(RESTARTS):
                wait_until(lambda: over.is_set() or len(accepted) > JOBS * (number + 1) // (RESTARTS + 2), 120)
                # In turn as an administrator does it, as `pg_ctl stop -m immediate`, and as a crash.
                server.stop([signal.SIGINT, signal.SIGQUIT, signal.SIGKILL][number % 3])
                time.sleep(0.3)
                server.start()

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            restarting = pool.submit(restart)
            list(pool.map(accept, range(JOBS)))
            over.set()
            restarting.result()
        assert len(set(accepted)) == JOBS
        for job_id in accepted:
            assert host.client.finished(job_id, 240)["status"] == "ready", host.client.job(job_id)

        def all_recorded():
            rows = server.query("SELECT job_id FROM download_jobs WHERE status = 'ready'")
            return set(accepted) <= {row[0] for row in rows}

        wait_until(all_recorded, 60, lambda: server.query("SELECT status, count(*) FROM download_jobs GROUP BY 1"))
        # One that was refused may have been committed before its answer was lost; but none twice.
        count = int(server.query("SELECT count(*) FROM download_jobs")[0][0])
        assert JOBS <= count <= JOBS + len(refused)
        assert host.stop() == 0
    finally:
        server.remove()


def test_a_server_that_is_away_is_503_and_health_says_so(make_host, tmp_path):
    server = PostgreSQL()
    try:
        host = make_host(config={"history": {"url": server.url(), "timeout": "1s"}})
        server.stop()
        assert host.client.post("/v1/download/initiate", {"file_ids": [20_001]}).status == 503
        wait_until(lambda: host.client.get("/health").status == 503, 30)
        server.start()
        wait_until(lambda: host.client.get("/health").status == 200, 30)
        host.client.initiate([20_001])
    finally:
        server.remove()


@pytest.mark.parametrize("name", ["DATABASE_URL", "FERRY_HISTORY_URL"])
def test_status_and_migrate(server, database, tmp_path, name):
    def run(*arguments):
        return history(server, *arguments, database=database, folder=tmp_path, name=name)

    before = run("status", "--json")
    assert before.returncode == 1, before
    before = json.loads(before.stdout)
    assert (before["driver"], before["state"], before["version"], before["applied"]) == ("postgresql", "pending", 0, [])
    assert len(before["pending"]) == before["latest"] > 0 and before["place"].startswith(f"{database} at ")
    assert "ferry history migrate" in run("status").stdout
    assert server.query("SELECT to_regclass('ferry_migrations') IS NULL", database) == [["t"]]
    # Many at once, as when hosts are rolled out.
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: run("migrate", "--json"), range(6)))
    assert [result.returncode for result in results] == [0] * 6, results
    assert all(json.loads(result.stdout)["state"] == "current" for result in results)
    after = run("status")
    assert after.returncode == 0 and "up to date" in after.stdout
    server.query("INSERT INTO ferry_migrations (version, name) VALUES (99, 'later')", database)
    newer = run("status", "--json")
    assert (newer.returncode, json.loads(newer.stdout)["state"]) == (1, "newer")
    refused = run("migrate")
    assert refused.returncode == 1 and "newer schema" in refused.stderr and "history.url" in refused.stderr
    (tmp_path / "config.json").write_text(json.dumps({"storage": {"port": 0}}))
    served = subprocess.run(
        [FERRY, "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"], capture_output=True, text=True,
        timeout=120, cwd=tmp_path, env=dict(os.environ, **{name: server.url(database)}))
    assert served.returncode == 1 and "newer schema" in served.stdout + served.stderr


def test_eight_processes_make_the_tables_of_an_empty_database_at_once(server, database, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(
            lambda _: history(server, "migrate", "--json", database=database, folder=tmp_path), range(8)))
    assert [result.returncode for result in results] == [0] * 8, results
    latest = json.loads(results[0].stdout)["latest"]
    assert server.query("SELECT count(*), max(version) FROM ferry_migrations", database) == [[str(latest)] * 2]


def make_certificate(folder, name):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
               "2", "-subj", "/CN=server", "-addext", f"subjectAltName={name}", "-keyout", f"{folder}/key.pem",
               "-out", f"{folder}/certificate.pem"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "certificate.pem", folder / "key.pem"


def test_tls(tmp_path):
    server = PostgreSQL()
    try:
        (tmp_path / "other").mkdir()
        certificate, key = make_certificate(tmp_path, "DNS:localhost")
        stranger, _ = make_certificate(tmp_path / "other", "DNS:localhost")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server.use_tls(certificate, key, port)

        def status(host, parameters):
            url = f"postgresql://ferry@{host}:{port}/postgres?{parameters}"
            (tmp_path / "config.json").write_text(json.dumps({"history": {"url": url, "timeout": "2s"}}))
            return history(server, "migrate", database=None, folder=tmp_path)

        for host, parameters in (
            ("127.0.0.1", "sslmode=require"), ("localhost", f"sslmode=verify-full&sslrootcert={certificate}"),
            ("127.0.0.1", f"sslmode=verify-ca&sslrootcert={certificate}"),
        ):
            result = status(host, parameters)
            assert result.returncode == 0, (host, parameters, result)
        for host, parameters in (
            ("localhost", "sslmode=disable"), ("127.0.0.1", f"sslmode=verify-full&sslrootcert={certificate}"),
            ("localhost", f"sslmode=verify-full&sslrootcert={stranger}"),
        ):
            result = status(host, parameters)
            assert result.returncode == 1 and "history.url" in result.stderr, (host, parameters, result)
    finally:
        server.remove()


def test_status_and_migrate_of_a_file(server, tmp_path):
    def run(*arguments):
        return history(server, *arguments, "--data", ".", database=None, folder=tmp_path)

    assert json.loads(run("status", "--json").stdout)["state"] == "pending"
    assert not (tmp_path / "history.sqlite").exists()
    migrated = json.loads(run("migrate", "--json").stdout)
    assert (migrated["driver"], migrated["state"]) == ("sqlite", "current") and migrated["applied"]
    assert run("status").returncode == 0


def test_a_password_is_never_shown(server, tmp_path):
    for url in (
        "postgresql://ferry:s3cret-word@127.0.0.1:1/ferry?connect_timeout=1", "postgresql://ferry:s3cret@word@h/ferry",
        "postgresql://ferry:s3cret-word@h/ferry?sslmod=require", "mysql://ferry:s3cret-word@h/ferry",
    ):
        (tmp_path / "config.json").write_text(json.dumps({"history": {"url": url, "timeout": "500ms"}}))
        result = history(server, "status", database=None, folder=tmp_path)
        assert result.returncode == 1 and "history.url" in result.stderr
        assert "s3cret" not in result.stdout + result.stderr, result


def test_the_library_is_loaded_only_when_it_is_configured(make_host, server, database, tmp_path):
    def libraries(host):
        return pathlib.Path(f"/proc/{host.process.pid}/maps").read_text()

    plain = make_host(folder=tmp_path / "plain")
    with_database = make_host(folder=tmp_path / "with", config={"history": {"url": server.url(database)}})
    assert "libpq.so" not in libraries(plain)
    assert "libpq.so" in libraries(with_database)
