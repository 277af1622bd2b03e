"""The keeper: takes runs, keeps them, hands them to kernels.

============  ==============================================================================
``request``   RunRequest: what a caller asks for, and the Settings that bound it
``checks``    a request against the workflow it names, before anything is written
``intake``    from a request to a row, once for each idempotency key
``documents`` documents as rows keep them, and back
``live``      LiveRun: a run, for those who wait for it or follow it
``journal``   a run's events on their way into the store, in order
``kept``      KeptRun: the keeper's side of an unfinished run
``keeping``   the unfinished runs, each until its end is stored
``waiting``   the runs that wait, and whose turn it is
``handing``   handing them to kernels
``ordering``  what a kernel gets of one
``recovery``  what an earlier server left unfinished
``again``     doing a finished run again
``retention`` deleting what is older than is wanted
``keeper``    RunKeeper: all of it together
============  ==============================================================================
"""

from mcnb.server.keeper.keeper import RunKeeper
from mcnb.server.keeper.live import LiveRun
from mcnb.server.keeper.request import RunRequest, Settings

__all__ = ["LiveRun", "RunKeeper", "RunRequest", "Settings"]
