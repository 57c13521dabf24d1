"""Files of the home folder that concern several gateways."""

import os
import secrets
from pathlib import Path

import msgspec

from gongshu.gateways.types import Seen

SERVED_FOLDERS = ("gateway/shards/", "releases/")


def served_file(home: Path, path: str) -> Path | None:
    """Return a file that gateways elsewhere may fetch: shards of the snapshot, and what was released."""
    if not path.startswith(SERVED_FOLDERS) or "\0" in path:
        return None
    found = (home / path).resolve()
    roots = [(home / folder).resolve() for folder in SERVED_FOLDERS]
    return found if found.is_file() and any(found.is_relative_to(root) for root in roots) else None


def home_id(home: Path, *, is_made: bool = False) -> str:
    """Return what names a home folder, so that a gateway sees whether it shares the control plane's; empty when unnamed."""
    path = home / "gateway" / "home"
    if is_made and not path.exists():
        replace_file(path, secrets.token_hex(16).encode())
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path``: a reader sees all of it or what was there before, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def seen_path(home: Path) -> Path:
    """Return where the control plane says when it last heard of each gateway."""
    return home / "gateway" / "seen.json"


def write_seen(home: Path, seen: tuple[Seen, ...]) -> None:
    """Say when each gateway was last heard of; a hint for people, so it need not be durable."""
    path = seen_path(home)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(seen))
    draft.replace(path)


def read_seen(home: Path) -> tuple[Seen, ...]:
    """Return when each gateway was last heard of."""
    try:
        return msgspec.json.decode(seen_path(home).read_bytes(), type=tuple[Seen, ...])
    except (FileNotFoundError, msgspec.DecodeError):
        return ()


def clustered_mark(home: Path) -> Path:
    """Return the file that says that contracts are spread over several gateways here."""
    return home / "gateway" / "spread"
