"""What schemathesis is told beyond its configuration."""

import schemathesis


def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(element) for element in value]
    if isinstance(value, dict):
        return {key: whole(element) for key, element in value.items()}
    return value


@schemathesis.hook
def map_body(context, body):
    """JSON Schema has 70000.0 as an integer and no way to say otherwise; the host takes what is written as one. Nor can
    it say which URLs name a public address: one that does stands for all that are texts."""
    if isinstance(body, dict) and isinstance(body.get("callback_url"), str) and len(body["callback_url"]) <= 2048:
        body = {**body, "callback_url": "https://receiver.example/hook"}
    return whole(body)
