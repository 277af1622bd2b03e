"""Why a cluster did not let us in, from what Ray says then and what it writes to its log alone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from mcnb.errors import McnbError

ABOUT_TOKENS = "see that its token is in RAY_AUTH_TOKEN, or in ~/.ray/auth_token with RAY_AUTH_MODE=token"
ABOUT_VERSIONS = "install here what the cluster has, or there what is here"

_CLIENT_LOG = "ray.util.client.worker"
_RECEIVED = "Received when checking init: "

_LONGEST = 300
"""Characters of what Ray says."""


class Overheard(logging.Handler):
    """What Ray's client heard from the other side: it says that it got no connection, and why to its log alone."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the last answer."""
        said = record.getMessage()
        if said.startswith(_RECEIVED):
            self.last = said.removeprefix(_RECEIVED)


@contextlib.contextmanager
def overhearing() -> Iterator[Overheard]:
    """Within the block, hear what Ray's client writes to its log; nobody else does."""
    log = logging.getLogger(_CLIENT_LOG)
    before = log.level, log.propagate
    heard = Overheard()
    log.addHandler(heard)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield heard
    finally:
        log.removeHandler(heard)
        log.setLevel(before[0])
        log.propagate = before[1]


def refusal(where: str, error: Exception, heard: str, advice: str) -> McnbError:
    """Return what an error of Ray means.

    Parameters
    ----------
    where : str
        What was wanted, and did not work.
    error : Exception
        Of Ray.
    heard : str
        From the other side.
    advice : str
        What to do when it is not clear.
    """
    said = [" ".join(str(each).split()) for each in _chain(error)]
    everything = " ".join([*said, heard]).lower()
    if "authentication" in everything or "invalidauthtoken" in everything:
        return McnbError(f"{where}: it asks for a token, and got none or another one", hint=ABOUT_TOKENS)
    for each in said:
        if "version mismatch" in each.lower():
            return McnbError(f"{where}: {_short(each)}", hint=ABOUT_VERSIONS)
    return McnbError(f"{where} ({_short(' '.join(heard.split()) or said[0] or type(error).__name__)})", hint=advice)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
