"""Runs many requests in one start: the program of the engine's process, asked again and again."""

import json
import os
import runpy
import sys


def main() -> None:
    """Answer a list of requests with a list of answers."""
    asked = json.loads(sys.stdin.buffer.read())
    child = runpy.run_path(asked["child"], run_name="child")
    child["limit_myself"](asked["requests"][0]["limits"], is_isolated=False)
    sys.stdout.write(json.dumps([child["answer"](request) for request in asked["requests"]]))
    sys.stdout.flush()
    os._exit(0)


main()
