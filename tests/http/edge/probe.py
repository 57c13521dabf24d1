"""Routes that do one thing each, mounted beside the real ones, and the shape that every refusal has."""

import threading
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.responses import Response

from gongshu.base.decisions import Kind, Refused, rule

SECRET_VALUE = "赵四-110101199003074258"
PASSWORD = "correct-horse-1"
WAIT_SECONDS = 20

BUSY = rule("probe-busy", Kind.UNAVAILABLE, zh="忙", en="Busy", fix_zh="重试", fix_en="Try again")
FULL = rule("probe-full", Kind.LIMIT_EXCEEDED, zh="满", en="Full", fix_zh="等待", fix_en="Wait")
ODD = rule("probe-odd", Kind.CONFLICT, zh="{n}不行", en="Not {n}", fix_zh="换", fix_en="Change it", law="26号 art.1")
ABSENT = rule("probe-absent", Kind.NOT_FOUND, zh="无", en="None", fix_zh="查", fix_en="Look")


class Probe:
    """Routes that do one thing each, beside the real ones, and a count of what was really done."""

    def __init__(self) -> None:
        self.reset()
        self.router = APIRouter(prefix="/api/v1/probe")
        for method, path, run in (
            ("GET", "/who", self.who), ("POST", "/count", self.count), ("POST", "/secret", self.secret),
            ("POST", "/field", self.field), ("POST", "/busy", self.busy), ("POST", "/full", self.full),
            ("POST", "/odd", self.odd), ("POST", "/crash", self.crash), ("GET", "/crash/{name}", self.crash),
            ("POST", "/wait", self.wait), ("POST", "/upload", self.upload), ("GET", "/half", self.half),
            ("POST", "/empty", self.empty),
        ):  # fmt: skip
            self.router.add_api_route(path, run, methods=[method])

    def reset(self) -> None:
        """Forget what the test before has done."""
        self.done = 0
        self.entered = threading.Event()
        self.released = threading.Event()

    def who(self, request: Request) -> dict[str, Any]:
        actor = request.state.actor
        return {"person": actor.person, "roles": sorted(actor.roles), "by_cookie": request.state.by_cookie}

    def count(self) -> dict[str, int]:
        self.done += 1
        return {"done": self.done}

    def secret(self, response: Response) -> dict[str, str]:
        self.done += 1
        response.headers["Cache-Control"] = "no-store"
        return {"secret": SECRET_VALUE}

    def empty(self) -> Response:
        self.done += 1
        return Response(status_code=204)

    def field(self, body: "Body") -> int:
        return body.amount

    def busy(self) -> None:
        self.done += 1
        raise Refused((BUSY.because(),))

    def full(self) -> None:
        self.done += 1
        raise Refused((FULL.because(),))

    def odd(self) -> None:
        self.done += 1
        raise Refused((ABSENT.because(), ODD.because(n=7)))

    def crash(self, name: str = "") -> None:
        self.done += 1
        raise ValueError(f"{SECRET_VALUE} {name}")

    def wait(self) -> dict[str, int]:
        self.done += 1
        self.entered.set()
        assert self.released.wait(WAIT_SECONDS)
        return {"done": self.done}

    def upload(self, files: Annotated[list[UploadFile], File()]) -> list[int]:
        self.done += 1
        return [len(file.file.read()) for file in files]

    def half(self) -> StreamingResponse:
        def rows() -> Iterator[bytes]:
            yield b"first"
            raise ValueError(SECRET_VALUE)

        return StreamingResponse(rows())


class Body(BaseModel):
    amount: int
    uses: dict[str, int] = {}


def assert_is_problem(answer: Any) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "instance", "code", "reasons"}
    assert problem["status"] == answer.status_code
    assert problem["type"].endswith(f"#{problem['code']}")
    assert problem["reasons"]
    assert problem["code"] in {reason["code"] for reason in problem["reasons"]}
    for reason in problem["reasons"]:
        assert set(reason) == {"code", "kind", "law", "what", "fix", "facts"}
        assert all(reason[part][language] for part in ("what", "fix") for language in ("zh", "en"))
    return problem
