"""The composition root: makes the real ports and hands them out as a ``Site``. Nothing here is global."""

import contextlib
import json
import os
import secrets
import threading
import time
import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from gongshu.base.days import WorkingCalendar
from gongshu.base.parameters import Confidence, Parameter, Parameters
from gongshu.base.site import Clock, Site, SparkCluster
from gongshu.server.database import ControlDatabase

SECRET_BYTES = 32
RANDOM_BITS = 64


class TimeOrderedIds:
    """Ids that sort by time of making: 12 hexadecimal digits of milliseconds, then 16 that begin at random.

    Strictly rising within a process, also when many are made in one millisecond or the machine's clock is set back.
    """

    def __init__(self) -> None:
        """Begin with nothing made yet."""
        self._last = 0
        self._lock = threading.Lock()

    def make(self, kind: str) -> str:
        """Return a fresh id."""
        milliseconds = time.time_ns() // 1_000_000
        drawn = milliseconds << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
        with self._lock:
            self._last = max(drawn, self._last + 1)
            return f"{kind}-{self._last:028x}"


class FileKeys:
    """Secrets as files of mode 0600 in one folder."""

    def __init__(self, folder: Path) -> None:
        """Keep secrets in ``folder``, made at first use."""
        self._folder = folder

    def secret(self, name: str) -> bytes:
        """Return the secret, made once. Two processes that start together get the same one."""
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = self._folder / f".{name}.{secrets.token_hex(8)}"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster: its secret stands
                os.link(draft, path)
            draft.unlink()
        return path.read_bytes()


def real_clock() -> datetime:
    """Return the time of the machine, in UTC."""
    return datetime.now(UTC)


class DemoClock:
    """The machine's time plus an offset kept in a file, so that every process of a demo moves together."""

    def __init__(self, path: Path) -> None:
        """Keep the offset in ``path``."""
        self._path, self._seen, self._offset = path, -1, timedelta()

    def __call__(self) -> datetime:
        """Return the moved time."""
        try:
            changed = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return datetime.now(UTC)
        if changed != self._seen:
            self._offset = timedelta(seconds=json.loads(self._path.read_text())["offset_seconds"])
            self._seen = changed
        return datetime.now(UTC) + self._offset

    def move(self, by: timedelta) -> datetime:
        """Move the time forward by ``by`` (never back: ``ValueError``) and return it."""
        if by < timedelta():
            raise ValueError("the demo clock only moves forward")
        now = self()
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"offset_seconds": (now + by - datetime.now(UTC)).total_seconds()}))
        draft.replace(self._path)
        return self()


def load_parameters() -> Parameters:
    """Return the dated parameters that ship with the platform."""
    table = tomllib.loads(files("gongshu.server").joinpath("parameters.toml").read_text("utf-8"))
    return Parameters(
        tuple(
            Parameter(
                key=row["key"], value=row["value"], unit=row["unit"], start=row["start"], end=row.get("end"),
                source=row["source"], confidence=Confidence(row["confidence"]),
                title_zh=row["title_zh"], title_en=row["title_en"],
            )
            for row in table["parameter"]
        )
    )  # fmt: skip


def load_calendar() -> WorkingCalendar:
    """Return the working-day calendar that ships with the platform."""
    years = tomllib.loads(files("gongshu.server").joinpath("calendar.toml").read_text("utf-8"))
    return WorkingCalendar(
        years=frozenset(int(year) for year in years),
        days_off=frozenset(day for year in years.values() for day in year["days_off"]),
        days_worked=frozenset(day for year in years.values() for day in year["days_worked"]),
    )


def make_site(
    home: Path, *, database_url: str = "", is_demo: bool = False, clock: Clock | None = None,
    spark: SparkCluster | None = None,
) -> Site:  # fmt: skip
    """Return a site whose state lies under ``home``; the database is SQLite there unless a URL is given."""
    home.mkdir(parents=True, exist_ok=True)
    fallback: Clock = DemoClock(home / "clock.json") if is_demo else real_clock
    return Site(
        db=ControlDatabase(database_url or f"sqlite:///{home / 'gongshu.db'}"),
        clock=clock or fallback,
        ids=TimeOrderedIds(),
        parameters=load_parameters(),
        calendar=load_calendar(),
        keys=FileKeys(home / "keys"),
        home=home,
        is_demo=is_demo,
        spark=spark,
    )


def gateway_ports(home: Path) -> tuple[Clock, FileKeys]:
    """Return the clock and the keys of a gateway, which has no database: the demo's moved time in a demo's home."""
    clock: Clock = DemoClock(home / "clock.json") if (home / "demo").exists() else real_clock
    return clock, FileKeys(home / "keys")
