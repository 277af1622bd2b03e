"""llama-cpp-python, and what it and llama.cpp would write where nobody asked."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import sys
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from mcnb.errors import UnsupportedModelError
from mcnb.models.control import Control

_log = logging.getLogger(__name__)
_quiet = threading.Lock()


class _Notes:
    """What llama.cpp says: the last of it for an error's message, all of it on stderr where somebody asked."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.shown = False

    def take(self, level: int, text: bytes, _: Any) -> None:
        line = text.decode("utf-8", "replace").strip()
        if not line:
            return
        if self.shown:
            sys.stderr.write(f"{line}\n")
        if level >= 3:  # errors; 4 is more detail than information
            self.lines = [*self.lines[-4:], line]
        _log.debug("%s", line)


@cache
def library() -> Any:
    """Return ``llama_cpp``, its notes in our hands.

    Raises
    ------
    UnsupportedModelError
        When it is not installed, or its libraries cannot be loaded.
    """
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        raise UnsupportedModelError(
            f"'driver: llamacpp' needs llama-cpp-python, which cannot be imported ({error})",
            hint="pip install 'mcnb[llamacpp]'",
        ) from error
    llama_cpp.llama_log_set(_callback(), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


@cache
def _notes() -> _Notes:
    return _Notes()


@cache  # it must live as long as the library
def _callback() -> Any:
    import llama_cpp

    return llama_cpp.llama_log_callback(_notes().take)


@contextlib.contextmanager
def loading(*, verbose: bool) -> Iterator[list[str]]:
    """Within the block, models can be loaded; gives what llama.cpp says of errors.

    The binding would close the whole process's stdout and stderr meanwhile, also to a notebook's other threads. Here it
    cannot, and has no need to: what llama.cpp says goes to the log.
    """
    import llama_cpp._internals
    import llama_cpp.llama

    library()
    notes = _notes()
    modules = (llama_cpp.llama, llama_cpp._internals)
    with _quiet:
        notes.lines, notes.shown = [], verbose
        before = [module.suppress_stdout_stderr for module in modules]
        for module in modules:
            module.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext()
        try:
            yield notes.lines
        finally:
            for module, known in zip(modules, before, strict=True):
                module.suppress_stdout_stderr = known


def said() -> str:
    """Return what llama.cpp last said of an error."""
    return " ".join(" ".join(_notes().lines).split())[-300:]


class StopFlag:
    """Lets llama.cpp stop in the middle of a prompt, on a CPU.

    It asks a function before every operation. One of Python's would wait for the interpreter's lock each time, so it is
    the C library's ``strlen``, of a text that is empty as long as the work may go on.
    """

    def __init__(self, context: Any) -> None:
        self._text = ctypes.create_string_buffer(2)
        libc = ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)
        module = library()
        self._asked = ctypes.cast(libc.strlen, module.ggml_abort_callback)
        module.llama_set_abort_callback(context, self._asked, ctypes.addressof(self._text))

    @contextlib.contextmanager
    def heeding(self, control: Control) -> Iterator[None]:
        """Within the block, stop when the control says so; what it says later is for nobody."""
        lock, done = threading.Lock(), False

        def stop() -> None:
            with lock:
                self._text.value = b"" if done else b"1"

        try:
            with control.calling(stop):
                yield
        finally:
            with lock:
                done = True
                self._text.value = b""
