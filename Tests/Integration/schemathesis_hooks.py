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
    """JSON Schema has 70000.0 as an integer and no way to say otherwise; the host takes what is written as one."""
    return whole(body)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Nor can JSON Schema say which URLs name a public address: one that does stands for every text of the right length."""
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("callback_url"), str) and len(body["callback_url"]) <= 2048:
        case.body = {**body, "callback_url": "https://receiver.example/hook"}
