"""Jobs per second of one producer that adds 200 at a time."""

import queues

NAME = "queue-add-200"


def run(bench):
    queues.adding(bench, NAME, 200)
