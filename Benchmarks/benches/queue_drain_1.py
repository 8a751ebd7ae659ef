"""No-op jobs per second of one worker that works one at a time."""

import queues

NAME = "queue-drain-1"


def run(bench):
    queues.draining(bench, NAME, 1)
