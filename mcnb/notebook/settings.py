"""What can be set with ``%config Compose.NAME = VALUE``, or as ``c.Compose.NAME`` in IPython's configuration."""

from __future__ import annotations

from traitlets import Bool, Float
from traitlets.config import Configurable

INTERVAL = 0.1
"""Seconds between two updates of an output."""


class Compose(Configurable):
    """Settings of ``%compose``; the name of the class is the one that ``%config`` shows."""

    quiet = Bool(False, help="Show nothing of runs, as %compose run --quiet does.").tag(config=True)

    show_record = Bool(True, help="Show the record of a run, folded, below its text.").tag(config=True)

    interval = Float(
        INTERVAL, min=0.02, help="Seconds between two updates of an output; long texts are sent less often."
    ).tag(config=True)

    timeout = Float(
        None, allow_none=True, help="Seconds after which a run is stopped and fails; %compose run --timeout goes first."
    ).tag(config=True)
