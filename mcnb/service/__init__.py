"""What ``mcnb up`` starts: a Jupyter server for one compose file, its web page, its log, and how to find it again.

=================  =========================================================================
``options``        what the command was asked for
``endpoint``       where to listen, and what is refused because it would be open to others
``claimed``        the ports, taken before anything starts
``registry``       which services run: one state file each
``log``            the log file: rotating, without tokens
``config``         the settings of the Jupyter server
``jupyter``        the Jupyter server itself
``web_page``       the web page's process, as the server sees it
``page``           what runs in that process, and in the kernels of its visitors
``announcement``   what is printed when it is ready
``serving``        all of it together, in the foreground or detached
``stopping``       ``mcnb down``
=================  =========================================================================

Importing this package imports none of them: the kernels behind the web page start quickly.
"""
