"""The link that opens this repository's first form on a Binder: ``make binder``.

The project does not know where copies of it are published, so the link is made from the address that a copy was cloned
from.
"""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import quote

BINDER = "https://mybinder.org"
NOTEBOOK = "notebooks/02-the-form.ipynb"

_ADDRESS = re.compile(r"(?:https?://(?:[^@/]+@)?|ssh://git@|git@)(?P<host>[^/:]+)[/:](?P<path>.+?)(?:\.git)?/?")
_PROVIDERS = {"github.com": "gh", "gitlab.com": "gl"}


def link(address: str, branch: str = "HEAD") -> str | None:
    """Return the link for a repository's address; None where a Binder could not reach it.

    Parameters
    ----------
    address : str
        As git knows it, like ``https://github.com/owner/name.git`` or ``git@github.com:owner/name``.
    branch : str
        A branch, a tag or a commit.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    provider = _PROVIDERS.get(found["host"])
    if provider == "gh":
        place = f"gh/{found['path']}"
    elif provider == "gl":
        place = f"gl/{quote(found['path'], safe='')}"
    else:
        place = "git/" + quote(f"https://{found['host']}/{found['path']}.git", safe="")
    return f"{BINDER}/v2/{place}/{branch}?labpath={quote(NOTEBOOK, safe='')}"


def main() -> int:
    """Print the link and a badge for a README; return the exit code."""
    asked = subprocess.run(["git", "remote", "get-url", "origin"], capture_output=True, text=True, check=False)  # noqa: S607
    address = asked.stdout.strip()
    found = link(address) if asked.returncode == 0 else None
    if found is None:
        where = f"the origin of this copy is {address}" if address else "this copy has no origin"
        sys.stderr.write(f"a Binder cannot reach it: {where}; clone it from where it is published\n")
        return 1
    sys.stdout.write(f"{found}\n\n[![Open the form on Binder]({BINDER}/badge_logo.svg)]({found})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
