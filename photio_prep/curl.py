"""Order -> the exact call as a curl command.

Takes an order in a folder; gives a line for a shell: the key as $PHOTIO_API_KEY, the picture by file. Touches nothing.
Raises UsageError for an order without a folder or a description.
"""

import shlex
from pathlib import Path

from photio_prep.errors import UsageError
from photio_prep.orders import Order
from photio_prep.wire import body, head


def curl(order: Order, url: str, canvas: Path) -> str:
    """A shell pipeline that sends the very bytes that `generate` would send, and prints the raw answer."""
    if not order.request.description:
        raise UsageError("it has no scene description", 'Give -d "on a marble table"')
    start = shlex.quote(head(order.request).decode())
    picture = shlex.quote(str(canvas))
    sent = f"{{ printf %s {start}; base64 < {picture} | tr -d '\\n'; printf %s '\"}}'; }}"
    if order.request.image_url is not None:
        sent = f"printf %s {shlex.quote(body(order.request).decode())}"
    # The key goes through a pipe from printf, which is part of the shell: an argument of curl's would show it in `ps`.
    return (
        f"{sent} |"
        " { printf 'X-Photio-Key: %s\\n' \"$PHOTIO_API_KEY\" |"
        f" curl --silent --show-error --request POST {shlex.quote(url)} --header @-"
        " --header 'Content-Type: application/json' --data-binary @/dev/fd/3; } 3<&0"
    )
