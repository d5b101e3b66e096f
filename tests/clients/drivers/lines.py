"""The drivers' protocol: one JSON request a line in, one JSON answer a line out.

A request is ``{"verb": "upload", "bucket": …}``, its answer ``{"result": …}`` or
``{"error": "text"}``. Runs under the client's own interpreter, so it needs nothing but Python.
"""

import json
import sys


def serve(**verbs):
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        words = json.loads(line)
        try:
            answer = {"result": verbs[words.pop("verb")](**words)}
        except Exception as error:  # noqa: BLE001  whatever a client raises is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)  # str: of dates
