"""A package index on the loopback interface, and the wheels it serves."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class WheelIndex:
    """Serves wheels as a simple index, with their SHA-256, until it is closed.

    Parameters
    ----------
    root : Path
        A folder of its own.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.files.mkdir(parents=True)
        self.asked: list[str] = []
        self.status = 200
        asked, index = self.asked, self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                asked.append(self.path)
                if index.status != 200:
                    self.send_error(index.status)
                else:
                    super().do_GET()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="wheel-index")
        self._thread.start()

    @property
    def url(self) -> str:
        """What to give as PIP_INDEX_URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple/"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, name: str, version: str, content: dict[str, bytes]) -> Path:
        """Build a wheel and offer it."""
        stem = f"{name.replace('-', '_')}-{version}"
        info = f"{stem}.dist-info"
        wheel = self.files / f"{stem}-py3-none-any.whl"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: no-such-thing\n"
        texts = {
            f"{info}/METADATA": about,
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, data in [*content.items(), *((key, text.encode()) for key, text in texts.items())]:
                archive.writestr(path, data)
            archive.writestr(f"{info}/RECORD", "")
        self.offer(name)
        return wheel

    def offer(self, name: str, *, hashes: bool = True) -> None:
        """Write the package's page from the wheels there are."""
        links = []
        for wheel in sorted(self.files.glob(f"{name.replace('-', '_')}-*.whl")):
            mark = f"#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}" if hashes else ""
            links.append(f'<a href="/files/{wheel.name}{mark}">{wheel.name}</a><br>')
        page = self.root / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>")
