"""Jobs per second of one producer that adds one after the other."""

import queues

NAME = "queue-add-1"


def run(bench):
    queues.adding(bench, NAME, 1)
