"""Accepted downloads a second with the history in SQLite, every one on the disk before its answer."""

import initiate

NAME = "initiate-sqlite"


def run(bench):
    initiate.compare(bench, NAME, dict, initiate.count_in_file)
