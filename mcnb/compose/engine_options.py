"""What must hold between a component's ``driver`` and its ``options``."""

from __future__ import annotations

from collections.abc import Iterator

from mcnb.compose.nodes import KeyPath, Node, show_path
from mcnb.compose.schema import Component
from mcnb.compose.schema.options import OPTIONS_OF
from mcnb.compose.suggest import listed
from mcnb.errors import Problem


def check_options(path: KeyPath, component: Component, root: Node) -> Iterator[Problem]:
    """Yield the options that the engine does not know, and those it cannot do without.

    Parameters
    ----------
    path : tuple
        Of the component.
    component : Component
        It.
    root : Node
        The document.
    """
    driver, options = component.driver, component.options
    known = OPTIONS_OF[driver]
    for name in sorted(options.model_fields_set if options is not None else ()):
        if name not in known:
            place = (*path, "options", name)
            owner = next(other for other, names in OPTIONS_OF.items() if name in names)
            hint = f"it has {listed(known)}" if known else "it has no options"
            message = f"option '{name}' is one of 'driver: {owner}', not of 'driver: {driver}'"
            yield Problem(message, root.child(place)[0].place, show_path(place), hint)
    if driver == "openai" and (options is None or options.base_url is None):
        message = "'driver: openai' needs the address of a server"
        hint = "add 'options: {base_url: http://127.0.0.1:8000/v1}'"
        yield Problem(message, root.child((*path, "driver"))[0].place, show_path((*path, "options")), hint)
