"""The page's process: ``python -m mcnb.service.page``, with its settings as the first line of standard input.

It ends when its standard input does: the service holds the other end, so that not even a killed service leaves a page
behind.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from importlib import resources
from pathlib import Path

from mcnb.service.page.settings import PageSettings

LAST_WORDS_SECONDS = 5.0


def main() -> None:
    """Serve the page until the service ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the service, which then ends this
    settings = PageSettings.from_json(sys.stdin.readline())
    threading.Thread(target=_end_with_the_service, name="mcnb-page-end", daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="mcnb-page-") as folder:
        _keep_out_the_users_jupyter(Path(folder))
        from mcnb.service.page.application import FormPage, page_config, write_notebook

        page = FormPage(config=page_config(settings, write_notebook(Path(folder), settings.title)))
        page.initialize([])
        page.start()


def _keep_out_the_users_jupyter(folder: Path) -> None:
    share = str(resources.files(__package__) / "share")
    os.environ.update(
        JUPYTER_CONFIG_DIR=str(folder / "config"),
        JUPYTER_DATA_DIR=str(folder / "data"),
        JUPYTER_RUNTIME_DIR=str(folder / "runtime"),
        IPYTHONDIR=str(folder / "ipython"),
        JUPYTER_PATH=share,
        JUPYTER_PLATFORM_DIRS="1",
    )
    for name in ("JUPYTER_TOKEN", "JUPYTER_TOKEN_FILE", "JUPYTER_CONFIG_PATH"):
        os.environ.pop(name, None)


def _end_with_the_service() -> None:
    while sys.stdin.read(1):
        pass
    timer = threading.Timer(LAST_WORDS_SECONDS, os._exit, (1,))
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
