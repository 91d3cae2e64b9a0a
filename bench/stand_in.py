"""The API's part in `bench.load`: answers every request well and at once, counts, says what it counted at the end.

Prints its URL; ends at a line on standard input. The hostile server of the tests, on its best behaviour.
"""

import json
import sys

from tests.support.hostile import HostileServer
from tests.support.hostile_answers import ok


def main() -> None:
    with HostileServer(ok(), keep_bodies=False) as server:
        print(server.url, flush=True)
        sys.stdin.readline()
        print(json.dumps({"requests": server.hits, "twice": len(server.charged_twice())}))


if __name__ == "__main__":
    main()
