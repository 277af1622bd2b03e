"""What the web page's process is told."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

API_ADDRESS = "MCNB_PAGE_API"
API_TOKEN = "MCNB_TOKEN"  # noqa: S105 - the name of a variable
"""Where the kernels of visitors find the service; environment variables, because command lines can be read by all."""


@dataclass(frozen=True)
class PageSettings:
    """The settings of the page's process; they travel through its standard input.

    Attributes
    ----------
    host, port
        Where it listens.
    token : str
        What visitors have to carry; empty for nothing.
    title : str
        Of the page.
    local_only : bool
        Whether requests that name another machine as their host are refused.
    """

    host: str
    port: int
    title: str
    token: str = field(default="", repr=False)
    local_only: bool = True

    def to_json(self) -> str:
        """Write the settings on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PageSettings:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))
