"""Handlers: one class for each route; the table in ``mcnb.server.routes`` says which.

Each method is ``@web.authenticated`` and ``@authorized``, for the resource ``workflows`` or ``runs``.
"""
