"""The link that opens this repository's first form on a Binder: ``make binder``.

The project does not know where copies of it are published, so the link is made from the address that a copy was cloned
from. Until there is one, the badge of the READMEs leads to ``binder/README.md``; ``--write`` makes it lead to the form.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

BINDER = "https://mybinder.org"
NOTEBOOK = "notebooks/02-the-form.ipynb"
PICTURE = "docs/images/open-on-binder.svg"
READMES = ("README.md", "README.zh-cn.md")

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


def with_badge(page: str, target: str) -> str:
    """Return a README whose badge leads to ``target``.

    Raises
    ------
    ValueError
        The page has no badge, or several.
    """
    badge = rf"(!\[[^\]]*\]\({re.escape(PICTURE)}\)\])\([^)]*\)"
    new, number = re.subn(badge, lambda found: f"{found[1]}({target})", page)
    if number != 1:
        raise ValueError(f"one badge was expected, a link around {PICTURE}; found {number}")
    return new


def main(words: Sequence[str] | None = None, folder: Path = Path()) -> int:
    """Print the link, or write it into the READMEs of ``folder``; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.binder_link", description="The link that opens the form.")
    parser.add_argument("--write", action="store_true", help=f"make the badge of {' and '.join(READMES)} lead there")
    write = parser.parse_args(words).write
    asked = subprocess.run(["git", "remote", "get-url", "origin"], capture_output=True, text=True, check=False)  # noqa: S607
    address = asked.stdout.strip()
    found = link(address) if asked.returncode == 0 else None
    if found is None:
        where = f"the origin of this copy is {address}" if address else "this copy has no origin"
        sys.stderr.write(f"a Binder cannot reach it: {where}; clone it from where it is published\n")
        return 1
    sys.stdout.write(f"{found}\n")
    for page in [folder / name for name in READMES] if write else []:
        page.write_text(with_badge(page.read_text(encoding="utf-8"), found), encoding="utf-8")
        sys.stdout.write(f"{page}: the badge leads there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
