"""Where a Ray cluster is: what its address may say, and whether anybody listens there.

Ray itself tries an address at which nobody is for a minute and more, and says little then.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from mcnb.errors import InvalidInputError, McnbError

AUTO = "auto"

CLIENT = "ray://"

CLIENT_PORT = 10001
"""Of Ray's client server, by default."""

_PATIENCE = 5.0
"""Seconds that a machine gets to take a connection."""

_FORMS = "it is auto or HOST:PORT on a machine of the cluster, ray://HOST:PORT on any other"


@dataclass(frozen=True)
class Address:
    """Where a cluster is.

    Attributes
    ----------
    host, port : str, int
        Of the cluster's head, or of its client server.
    client : bool
        Whether it is that of the client server, by which a machine that is none of the cluster's reaches it.
    """

    host: str
    port: int
    client: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{CLIENT if self.client else ''}{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address | None:
        """Return the address that somebody said; None for that which Ray finds by itself.

        Raises
        ------
        InvalidInputError
            When it is none.
        """
        said = f"'{text}'"
        if text == AUTO and (found := os.environ.get("RAY_ADDRESS")):
            text, said = found, f"'{found}', which RAY_ADDRESS says,"
        if text == AUTO:
            return None
        if text.startswith(("http://", "https://")):
            raise InvalidInputError(
                f"{said} is the address of a Ray dashboard, which takes whole commands, and no rows",
                hint=f"give {CLIENT}HOST:PORT, or run the command on a machine of the cluster with --address {AUTO}",
            )
        if text == "local":
            raise InvalidInputError(f"{said} is no address", hint="leave it out for a Ray of this machine's own")
        client = text.startswith(CLIENT)
        host, port = _parts(text.removeprefix(CLIENT))
        if client and port is None:
            port = CLIENT_PORT
        if host is None or port is None:
            raise InvalidInputError(f"{said} is no address of a Ray cluster", hint=_FORMS)
        return cls(host, port, client)

    def call(self) -> None:
        """Make sure that somebody listens there.

        Raises
        ------
        McnbError
            When nobody does, or there is no such machine, or it does not answer.
        """
        try:
            socket.create_connection((self.host, self.port), timeout=_PATIENCE).close()
        except OSError as error:
            raise McnbError(f"nobody answers at {self} ({_why(error)})", hint=self.advice()) from error
        if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true") and not self._is_grpc():
            raise McnbError(f"what answers at {self} is no Ray", hint=self.advice())

    def _is_grpc(self) -> bool:
        """Whether it speaks the protocol: Ray waits for ever for the words of anything else."""
        import grpc

        with grpc.insecure_channel(str(self).removeprefix(CLIENT)) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=_PATIENCE)
            except grpc.FutureTimeoutError:
                return False
        return True

    def advice(self) -> str:
        """Return what to see to when the cluster cannot be reached."""
        if self.client:
            return (
                "see on the cluster's head that it runs ('ray status') and has a client server: the port of "
                f"'ray start --head --ray-client-server-port', {CLIENT_PORT} by default"
            )
        return (
            "see on the cluster's head that it runs ('ray status'), and that the port is that of 'ray start --head "
            f"--port', 6379 by default; from a machine that is none of the cluster's, give {CLIENT}HOST:PORT"
        )


def _parts(text: str) -> tuple[str | None, int | None]:
    """Return host and port, and None for what is not there."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc != text or parts.username is not None:
            return None, None
        return parts.hostname, parts.port
    except ValueError:
        return None, None


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE:.0f} s"
    if isinstance(error, socket.gaierror):
        return "there is no machine of that name"
    return error.strerror or type(error).__name__
