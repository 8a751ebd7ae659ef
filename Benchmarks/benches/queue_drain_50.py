"""No-op jobs per second of one worker that works 50 at a time."""

import queues

NAME = "queue-drain-50"


def run(bench):
    queues.draining(bench, NAME, 50)
