"""What has to be installed."""

from __future__ import annotations

import importlib.util

from mcnb.errors import NotSupportedError

_SERVER = ("jupyter_server", "sqlalchemy", "alembic", "psutil")


def need_server() -> None:
    """Make sure that a server can run here.

    Raises
    ------
    NotSupportedError
    """
    missing = [name for name in _SERVER if importlib.util.find_spec(name) is None]
    if missing:
        raise NotSupportedError(
            f"'mcnb up' needs {', '.join(missing)}, not installed here", hint="pip install 'mcnb[server]'"
        )
