"""Ray: rows computed on many machines, by Ray Data and a pool of actors.

============  =====================================================================
``engine``    OnRay: an engine of jobs
``cluster``   reaching a cluster, or starting one; how many workers, and how large
``feeding``   how the rows get from this process to where they are read
``pipeline``  the dataset: pieces of the input, read and computed
``worker``    an actor: one process with its models, loaded once
============  =====================================================================

Ray is imported when an engine is made, and by nothing else.
"""

from mcnb.batch.on_ray.engine import OnRay

__all__ = ["OnRay"]
