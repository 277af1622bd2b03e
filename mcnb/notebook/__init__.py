"""The notebook interface: ``%load_ext mcnb`` brings ``%compose`` and ``%%compose``.

=============  ==================================================================
``magics``     the magic: parses and delegates
``arguments``  the magic's arguments: options, ``$variables``, cell bodies
``source``     the document the magic loads, again for every run
``live``       an output that follows a run
=============  ==================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%compose``; called by ``%load_ext mcnb``. Doing it twice changes nothing."""
    from mcnb.notebook.magics import ComposeMagics

    registered = shell.magics_manager.magics["line"].get("compose")
    if not isinstance(getattr(registered, "__self__", None), ComposeMagics):
        shell.register_magics(ComposeMagics)
