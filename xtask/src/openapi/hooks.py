"""What schemathesis has to be told to speak tus: how a body of plain bytes is sent."""

import schemathesis


@schemathesis.serializer("application/offset+octet-stream")
def plain_bytes(ctx, value):
    return value if isinstance(value, bytes) else b"bytes"


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """To JSON Schema 12.0 is 12. The API takes a number as its digits stand there (docs/limits.md), which is why one is
    written as the other before it is sent."""
    case.body = with_digits(case.body)


def with_digits(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: with_digits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_digits(item) for item in value]
    return value
