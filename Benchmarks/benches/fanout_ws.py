"""WebSockets: from publish to receipt with 10 000 watchers, and what an idle one costs."""

import fanout

NAME = "fanout-ws"


def run(bench):
    fanout.run(bench, NAME, "ws", "subscribe")
