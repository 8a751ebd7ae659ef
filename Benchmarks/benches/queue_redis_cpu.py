"""The CPU time of redis-server for each no-op job of a worker that works 50 at a time."""

import queues

NAME = "queue-redis-cpu"


def run(bench):
    queues.redis_cpu(bench, NAME, 50)
