"""``make check-docs``: every command and every link of the READMEs, the docs and the examples.

=============  ==========================================================================
``documents``  which files are looked at
``blocks``     their code blocks, and how each is run
``links``      their links, and where those lead
``workspace``  the fresh copy of the repository that commands run in
``shell``      commands, console sessions and services
``kernel``     Python and magics, in a Jupyter kernel
``running``    the blocks of one file, one after the other
=============  ==========================================================================

A comment before a block says what cannot be seen from it:

- ``<!-- not run: REASON -->``
- ``<!-- file: NAME -->``: the block is the content of a file that later ones use
- ``<!-- run: {KEY: VALUE} -->``, where the keys are those of ``blocks.Way``
"""
