"""Accepted downloads a second with the history in PostgreSQL, every one on the disk before its answer."""

import itertools

import initiate
from postgres import PostgreSQL

NAME = "initiate-postgres"


def run(bench):
    numbers = itertools.count()
    with PostgreSQL(bench) as server:
        name = ""

        def settings():
            nonlocal name
            name = f"d{next(numbers)}"
            server.query(f"CREATE DATABASE {name}")
            return {"history": {"url": server.url(name)}}

        def count(_):
            return int(server.query("SELECT count(*) FROM download_jobs", name))

        initiate.compare(bench, NAME, settings, count)
