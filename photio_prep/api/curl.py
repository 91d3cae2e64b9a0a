"""A request as a curl command for a shell: the key as $PHOTIO_API_KEY, the picture by file."""

import shlex
from pathlib import Path

from photio_prep.api.wire import body, head
from photio_prep.errors import UsageError
from photio_prep.types import Request


def curl(request: Request, url: str, canvas: Path) -> str:
    """A shell pipeline that sends the very bytes that `generate` would send, and prints the raw answer.

    Raises:
        UsageError: The request has no description.
    """
    if not request.description:
        raise UsageError("it has no scene description", 'Give -d "on a marble table"')
    start = shlex.quote(head(request).decode())
    picture = shlex.quote(str(canvas))
    sent = f"{{ printf %s {start}; base64 < {picture} | tr -d '\\n'; printf %s '\"}}'; }}"
    if request.image_url is not None:
        sent = f"printf %s {shlex.quote(body(request).decode())}"
    # The key goes through a pipe from printf, which is part of the shell: an argument of curl's would show it in `ps`.
    return (
        f"{sent} |"
        " { printf 'X-Photio-Key: %s\\n' \"$PHOTIO_API_KEY\" |"
        f" curl --silent --show-error --request POST {shlex.quote(url)} --header @-"
        " --header 'Content-Type: application/json' --data-binary @/dev/fd/3; } 3<&0"
    )
