"""Connecting to a server: ``mcnb.connect``."""

from __future__ import annotations

from mcnb.client.address import Address
from mcnb.client.compose import RemoteCompose
from mcnb.client.server import Server


def connect(url: str, token: str | None = None, *, timeout: float = 30) -> RemoteCompose:
    """Connect to a server that runs mcnb: its models compute, and the objects are those of this process.

    Parameters
    ----------
    url : str
        Of a Jupyter server with mcnb, or of ``mcnb up``: ``http://gpu-box:8888``. As copied from a browser, ``/lab``
        and ``?token=...`` may stand behind it.
    token : str, optional
        The server's; by default that of the URL, else ``MCNB_TOKEN`` or ``JUPYTER_TOKEN`` of the environment.
    timeout : float
        Seconds for one request; runs may take as long as they like.

    Returns
    -------
    RemoteCompose

    Raises
    ------
    InvalidInputError
        When the URL is none.
    ServerError
        When the server cannot be reached, has no mcnb, or does not accept the token.
    NotSupportedError
        When what talks to servers is not installed.

    Examples
    --------
    >>> compose = mcnb.connect("http://gpu-box:8888", token="...")  # doctest: +SKIP
    >>> compose.run(prompt="Once upon a time").output  # doctest: +SKIP
    """
    server = Server(Address.of(url, token), timeout)
    try:
        server.recognize()
        return RemoteCompose(server)
    except BaseException:
        server.close()
        raise
