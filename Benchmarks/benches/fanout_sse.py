"""Event streams: from publish to receipt with 10 000 watchers, and what an idle one costs."""

import fanout

NAME = "fanout-sse"


def run(bench):
    fanout.run(bench, NAME, "sse", "stream")
