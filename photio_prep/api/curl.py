"""Print a request as a curl command for a shell: the key as $PHOTIO_API_KEY, the picture from its file."""

import shlex
from pathlib import Path

from photio_prep.api.wire import encode_request, request_prefix
from photio_prep.errors import UsageError
from photio_prep.types import Request


def format_curl(request: Request, url: str, canvas: Path) -> str:
    """Return a shell pipeline that sends the same bytes as `generate` and prints the raw answer.

    Raises:
        UsageError: The request has no description.
    """
    if not request.description:
        raise UsageError("no scene description", 'Give -d "on a marble table"')
    start = shlex.quote(request_prefix(request).decode())
    picture = shlex.quote(str(canvas))
    produce = f"{{ printf %s {start}; base64 < {picture} | tr -d '\\n'; printf %s '\"}}'; }}"
    if request.image_url is not None:
        produce = f"printf %s {shlex.quote(encode_request(request).decode())}"
    # The key goes through a pipe from printf, a builtin of the shell: as an argument of curl it would show in `ps`.
    return (
        f"{produce} |"
        " { printf 'X-Photio-Key: %s\\n' \"$PHOTIO_API_KEY\" |"
        f" curl --silent --show-error --request POST {shlex.quote(url)} --header @-"
        " --header 'Content-Type: application/json' --data-binary @/dev/fd/3; } 3<&0"
    )
