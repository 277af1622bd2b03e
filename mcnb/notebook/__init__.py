"""The notebook interface: ``%load_ext mcnb`` brings ``%compose`` and ``%%compose``.

==============  =================================================================================
``magics``      the magic: parses, and calls one of the ``commands``
``parser``      its commands and options
``inputs``      the values of a run: cell bodies, ``-i``, ``--input``, ``-p``, ``$variables``
``source``      the document the magic loads, again for every run
``connected``   a server in its place, after ``%compose connect``
``running``     ``%compose run``: start, follow, stop
``display``     the output of a cell that shows a run
``live``        what follows a run, as often as it is worth it
``batch``       the output of a cell that ends with a batch
``listing``     the runs and models of this process, and how to end them
``describing``  what is said about a document: valid, its schema, its picture
``completion``  Tab: what can stand at the cursor (``completing`` reads the line, ``offers`` knows)
``settings``    ``%config Compose``
``form``        the form
==============  =================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%compose`` and what completes it; called by ``%load_ext mcnb``. Doing it twice changes nothing."""
    from mcnb.notebook.completion import register
    from mcnb.notebook.magics import ComposeMagics

    magics = getattr(shell.magics_manager.magics["line"].get("compose"), "__self__", None)
    if not isinstance(magics, ComposeMagics):
        magics = ComposeMagics(shell)
        shell.register_magics(magics)
    register(shell, magics)
