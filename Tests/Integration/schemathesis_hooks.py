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
