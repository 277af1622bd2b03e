"""A stand-in for the model Hub on the loopback interface.

It speaks as much of the Hub's HTTP interface as `huggingface_hub` 2.4 uses to look models up and to download
them, so that tests run the real client: its cache, its progress, its retries. It can also misbehave on demand.

    with StandInHub(root) as hub:
        snapshot_download("org/name", endpoint=hub.url, cache_dir=cache)
"""

from __future__ import annotations

import fnmatch
import math
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from .hub_files import HubFiles
from .hub_server import HubServer, Request

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Request", "StandInHub"]


class _Cut(NamedTuple):
    after: int  # bytes of a body
    times: float  # for each file
    only: str
    reset: bool


class StandInHub:
    """Serves the model repositories in a folder like the Hub does.

    Parameters
    ----------
    root : Path
        Holds the repositories as `root/org/name/*`. It is read again on every request.
    rate : float, optional
        Bytes a second for each file body; 0 is as fast as it goes.
    gated : iterable of str, optional
        Repositories whose files need `token`.
    delay : float, optional
        Seconds to wait before each answer.
    port : int, optional
        0 picks a free one.

    Attributes
    ----------
    url : str
        What to give as `endpoint=` or HF_ENDPOINT.
    requests : list of Request
        Everything asked so far, in order of arrival. Clear it at will.
    bytes_sent : int
        Bytes of file bodies sent so far.
    token : str
        The access token that opens gated repositories.
    rate, delay : float
        As above; may be changed at any time.
    """

    def __init__(
        self, root: Path, *, rate: float = 0, gated: Iterable[str] = (), delay: float = 0, port: int = 0
    ) -> None:
        self.files = HubFiles(Path(root))
        self.rate = rate
        self.delay = delay
        self.token = "hf_standintoken"
        self.requests: list[Request] = []
        self.bytes_sent = 0
        self.gated = set(gated)
        self._port = port
        self._server: HubServer | None = None
        self._lock = threading.Lock()
        self._refusals: tuple[float, int] = (0, 503)
        self._cut = _Cut(0, 0, "*", False)
        self._cuts_done: dict[str, int] = {}

    @property
    def url(self) -> str:
        """The address, `http://127.0.0.1:PORT`; valid from the first start, and when offline too."""
        if not self._port:
            raise RuntimeError("the stand-in Hub was never started: use it as a context manager")
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.go_online()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.go_offline()

    def go_online(self) -> None:
        """Listen, on the same port as before where there was one."""
        if self._server is None:
            self._server = HubServer(self, self._port)
            self._port = self._server.server_port
            self._server.start()

    def go_offline(self) -> None:
        """Drop every connection and refuse new ones. Returns when every thread has ended."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def cut_after(self, after: int, times: float = 1, *, only: str = "*", reset: bool = False) -> None:
        """Close the connection in the middle of file bodies.

        Parameters
        ----------
        after : int
            Bytes of a body to send before the cut. A body that is not longer goes through.
        times : float, optional
            How often for each file; `math.inf` for always, 0 to stop.
        only : str, optional
            Pattern (fnmatch) of the file names inside the repository.
        reset : bool, optional
            End with a TCP reset instead of an orderly close.

        Notes
        -----
        `huggingface_hub` 2.4 tries again after an orderly close, not after a reset, and goes on from the last whole
        chunk of 10 MB: to see it resume small files, lower `huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE`.
        """
        with self._lock:
            self._cut = _Cut(after, times, only, reset)
            self._cuts_done.clear()

    def refuse_api(self, times: float = math.inf, status: int = 503) -> None:
        """Answer the next `times` requests below /api/models with an error status."""
        with self._lock:
            self._refusals = (times, status)

    def gate(self, repo: str) -> None:
        """Ask for `token` from now on when files of this repository are fetched."""
        self.gated.add(repo)

    def commit(self, repo: str) -> str:
        """The commit id at the head of a repository."""
        return self.files.commit(repo)

    def log(self, request: Request) -> None:
        """Note a request (for the server)."""
        with self._lock:
            self.requests.append(request)

    def count(self, sent: int) -> None:
        """Note bytes of a body (for the server)."""
        with self._lock:
            self.bytes_sent += sent

    def take_refusal(self) -> int | None:
        """The status to refuse this API request with, if any (for the server)."""
        with self._lock:
            times, status = self._refusals
            if times <= 0:
                return None
            self._refusals = (times - 1, status)
            return status

    def take_cut(self, repo: str, name: str, length: int) -> tuple[int, bool] | None:
        """Bytes after which to cut this body, and whether by a reset (for the server)."""
        with self._lock:
            cut, key = self._cut, f"{repo}/{name}"
            done = self._cuts_done.get(key, 0)
            if done >= cut.times or length <= cut.after or not fnmatch.fnmatch(name, cut.only):
                return None
            self._cuts_done[key] = done + 1
            return cut.after, cut.reset
