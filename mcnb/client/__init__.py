"""Runs on a server, from elsewhere: the same objects as in one's own process, over HTTP.

============  ==============================================================================
``address``   where a server is, and its token
``connecting`` the HTTP connections to it
``server``    its replies, asked for again where the connection breaks
``replies``   what an error reply says, as one of mcnb's errors
``served``    the workflows of a server, and the documents they are in
``feed``      the events of a run, read in a thread, whatever happens to the connection
``run``       RemoteRun: a Run that is computed on a server
``requests``  what a RemoteCompose asks a server for
``batch``     a batch whose rows are runs of a server
``compose``   RemoteCompose: what ``mcnb.connect`` returns
``opening``   connecting to a server: ``mcnb.connect``
============  ==============================================================================
"""

from mcnb.client.compose import RemoteCompose
from mcnb.client.opening import connect
from mcnb.client.run import RemoteRun

__all__ = ["RemoteCompose", "RemoteRun", "connect"]
