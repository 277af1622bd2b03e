"""Ray: rows computed on many machines, by Ray Data and a pool of actors.

==============  =====================================================================
``engine``      OnRay: an engine of jobs
``connection``  reaching a cluster, or starting one
``address``     where a cluster is, and whether anybody listens there
``refusal``     why it did not let us in
``cluster``     how many workers it gets, and how large
``machines``    which of them do not answer, and which are gone
``feeding``     how the rows get from this process to where they are read
``pipeline``    the dataset: pieces of the input, read and computed
``places``      where that runs: in this process, or in an actor
``worker``      an actor: one process with its models, loaded once
==============  =====================================================================

Ray is imported when an engine is made, and by nothing else.
"""

from mcnb.batch.on_ray.engine import OnRay

__all__ = ["OnRay"]
