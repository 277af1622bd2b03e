"""Which services run: a state file for each, with its address and its token, for the user alone to read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from mcnb.compose.files import FILE_NAMES
from mcnb.errors import ConflictError, InvalidInputError
from mcnb.models.home import home

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
_STEMS = {Path(name).stem for name in FILE_NAMES}


@dataclass(frozen=True)
class Service:
    """A service as its state file describes it.

    Attributes
    ----------
    name : str
        Made from its compose files: the same for the same files.
    files : tuple of str
        The compose files, as absolute paths.
    pid : int
    started : float
        When its process started, in seconds since 1970: another process may get the same pid later.
    machine : str
        The machine's name.
    address : str
        Where its API is; empty while it starts.
    form : str
        Where the web page is; empty without one.
    token : str
    since : float
        When it was ready, in seconds since 1970.
    """

    name: str
    files: tuple[str, ...]
    pid: int
    started: float
    machine: str
    address: str = ""
    form: str = ""
    token: str = field(default="", repr=False)
    since: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether its process still runs; unknown, and taken for True, on another machine."""
        return self.machine != socket.gethostname() or started_at(self.pid) == self.started


def services_home() -> Path:
    """Return the folder of state files, logs and databases; it is made, for the user alone, when there is none."""
    folder = home() / "services"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def service_name(files: tuple[str, ...]) -> str:
    """Return the name of the service of some compose files: words for people, then a digest of the paths."""
    first = Path(files[0])
    word = first.parent.name if first.stem in _STEMS else first.stem
    digest = hashlib.sha256("\0".join(files).encode()).hexdigest()[:6]
    return f"{_NOT_IN_NAMES.sub('-', word).strip('-.') or 'service'}-{digest}"


def log_file(name: str) -> Path:
    """Return where the log of a service is."""
    return services_home() / f"{name}.log"


def database_file(name: str) -> Path:
    """Return where the runs of a service are kept."""
    return services_home() / f"{name}.sqlite"


def started_at(pid: int) -> float | None:
    """Return when a process started, in seconds since 1970; None when there is none or it is over."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.Error:
        return None


def services() -> list[Service]:
    """Return the services that run, the oldest first; what ended without a word is cleaned up."""
    found = []
    for path in services_home().glob("*.json"):
        service = _read(path)
        if service is None or not service.alive:
            _remove(path, service)
        else:
            found.append(service)
    return sorted(found, key=lambda service: service.started)


def find_service(name: str) -> Service:
    """Return a running service by its name, the beginning of it, its pid, or a compose file.

    Raises
    ------
    InvalidInputError
        When there is none, or several.
    """
    running = services()
    path = str(Path(name).resolve())
    exact = [item for item in running if name in (item.name, str(item.pid)) or path in item.files]
    found = exact or [item for item in running if item.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(item.name for item in found or running)
    what = f"'{name}' could be any of several services" if found else f"no service '{name}' is running"
    raise InvalidInputError(what, hint=f"name one: {names}" if names else "'mcnb up' starts one")


class Claim:
    """The right of this process to be the service of a name.

    Parameters
    ----------
    name : str
    files : tuple of str

    Raises
    ------
    ConflictError
        When that service runs already: two would take the same runs.
    """

    def __init__(self, name: str, files: tuple[str, ...]) -> None:
        pid = os.getpid()
        self.service = Service(name, files, pid, started_at(pid) or 0.0, socket.gethostname())
        self.path = services_home() / f"{name}.json"
        while True:
            try:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                other = _read(self.path)
                if other is not None and other.alive:
                    where = f" at {other.address}" if other.address else ""
                    raise ConflictError(
                        f"{other.files[0]} is served already{where} (process {other.pid})",
                        hint=f"'mcnb down {name}' stops it",
                    ) from None
                _remove(self.path, other)
            else:
                with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                    stream.write(_text(self.service))
                return

    def ready(self, *, address: str, form: str, token: str, since: float) -> Service:
        """Tell where the service is, now that it answers."""
        self.service = replace(self.service, address=address, form=form, token=token, since=since)
        scratch = self.path.with_suffix(".new")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(_text(self.service))
        scratch.replace(self.path)
        return self.service

    def release(self) -> None:
        """Give the name back."""
        _remove(self.path, self.service)


@contextlib.contextmanager
def claimed(name: str, files: tuple[str, ...]) -> Iterator[Claim]:
    """Be the service of a name within the block."""
    claim = Claim(name, files)
    try:
        yield claim
    finally:
        claim.release()


def _text(service: Service) -> str:
    return json.dumps(asdict(service), indent=2) + "\n"


def _read(path: Path) -> Service | None:
    """Read a state file; None when it is gone or cannot be understood."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Service(**{**data, "files": tuple(data["files"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _remove(path: Path, seen: Service | None) -> None:
    """Remove a state file, unless it is another one by now."""
    if _read(path) == seen:
        path.unlink(missing_ok=True)
