"""The command: ``mcnb run | repeat | batch | validate | schema | graph | render | models | up | down | ps | logs``.

===============  ===========================================================
``group``        the command itself, its errors and exit codes
``run``          ``mcnb run`` and ``mcnb repeat``
``batch``        ``mcnb batch``
``asking``       answers to a run that is interrupted
``document``     ``mcnb validate | schema | graph | render``
``models``       ``mcnb models list | fetch | estimate | remove``
``up``           ``mcnb up``
``services``     ``mcnb down | ps | logs``
``options``      options that several commands share
``terminal``     progress lines, streamed text, the quiet last line
``background``   work on models outside of a run
``output_file``  the file of ``-o``
===============  ===========================================================

Exit codes: 0 completed, 1 failed, 2 bad file or input, 130 interrupted.
"""

from __future__ import annotations

import io
import sys


def main() -> None:
    """Run the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a character the terminal cannot show is no reason to fail, and other programs read UTF-8
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="replace")
    try:
        from mcnb.cli.group import INTERRUPTED, mcnb
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        mcnb(prog_name="mcnb")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
