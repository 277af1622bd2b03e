"""The pages of the documentation that are made from the code, the notebooks and the files of the repository.

==============  ========================================================================================
``hook``        what MkDocs calls: it gives the pages below to the site, and lets links lead into it
``made``        which pages are made, and what makes them
``places``      which page of the site a file of the repository is on
``links``       Markdown with its links changed
``text``        tables and escaping
``document``    every key of a compose file, from the schema
``kinds``       types and ranges in words, from JSON Schema
``command``     ``mcnb``, from click, and ``%compose``, from its parsers
``http``        the routes, from the OpenAPI document
``settings``    the traits of the server extension and of ``%config Compose``
``error_tree``  the errors, from their classes
``notebooks``   the notebooks with the outputs they were committed with
``diagrams``    mermaid, from this site alone
``repository``  README sections, CONTRIBUTING, the changelog, the Binder and the examples
==============  ========================================================================================

Nothing of it is committed: ``make docs`` makes it anew.
"""
