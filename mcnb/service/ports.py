"""The ports of a service, taken before anything starts, so that one in use is told in a sentence."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import replace

from mcnb.errors import ServerError
from mcnb.service.endpoint import Place


def listen(place: Place, option: str) -> tuple[Place, list[socket.socket]]:
    """Listen on a place.

    Parameters
    ----------
    place : Place
    option : str
        The option that chooses another port.

    Returns
    -------
    tuple
        The place, with the port that was free where any would do; and the sockets.

    Raises
    ------
    ServerError
        When the port is in use, is not for users, or the host is not this machine's.
    """
    from tornado.netutil import bind_sockets

    try:
        sockets = bind_sockets(place.port, place.host)
    except OSError as error:
        raise _refused(place, option, error) from error
    return replace(place, port=int(sockets[0].getsockname()[1])), sockets


def free(place: Place, option: str) -> Place:
    """Return a place that another process can listen on, or raise as ``listen``."""
    found, sockets = listen(place, option)
    close(sockets)
    return found


def close(sockets: Sequence[socket.socket]) -> None:
    """Close sockets."""
    for item in sockets:
        item.close()


def _refused(place: Place, option: str, error: OSError) -> ServerError:
    where = f"port {place.port} of {place.host or 'this machine'}"
    if error.errno == errno.EADDRINUSE:
        return ServerError(f"{where} is in use", hint=f"choose another with {option}, or see 'mcnb ps'")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ServerError(f"{where} may not be used", hint=f"choose one above 1023 with {option}")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return ServerError(f"'{place.host}' is not an address of this machine", hint="choose one with --host")
    return ServerError(f"{where} cannot be listened on: {error.strerror or error}")
