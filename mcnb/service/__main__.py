"""A detached service: ``python -m mcnb.service``, with its options on standard input."""

from __future__ import annotations

import sys

from mcnb.errors import McnbError
from mcnb.service.options import ServiceOptions
from mcnb.service.serving import serve


def main() -> None:
    """Serve until a signal comes; what is in the way goes to standard error, with its code in front."""
    options = ServiceOptions.from_json(sys.stdin.read())
    try:
        serve(options)
    except McnbError as error:
        sys.stderr.write(f"{error.code} {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
