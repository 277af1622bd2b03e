"""The command: ``mcnb run | repeat | validate | schema | render | models``.

=============  ===========================================================
``group``      the command itself, its errors and exit codes
``run``        ``mcnb run`` and ``mcnb repeat``
``document``   ``mcnb validate``, ``mcnb schema``, ``mcnb render``
``models``     ``mcnb models list | fetch | estimate | remove``
``options``    options that several commands share
``terminal``   progress lines, streamed text, the quiet last line
=============  ===========================================================

Exit codes: 0 completed, 1 failed, 2 bad file or input, 130 interrupted.
"""


def main() -> None:
    """Run the command."""
    from mcnb.cli.group import mcnb

    mcnb(prog_name="mcnb")
