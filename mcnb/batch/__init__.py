"""Bulk runs: many rows through one workflow, in this process or on Ray.

=============  =====================================================================
``job``        Job: a source, an output, a journal, an engine
``source``     the rows, read one after the other
``task``       what is computed for each: sent to whoever computes
``items``      the rows that are still to be computed
``engine``     who computes: ``Local`` is this process
``computing``  how a process computes rows, a few at a time
``on_ray``     ``OnRay``: Ray Data and a pool of actors
``journal``    what is done so far, on disk
``trouble``    telling a row that failed from a job that cannot work
``standing``   how far, how fast, how long still
``output``     the rows in the order of the input, written whole
``columns``    what they are made of
``writers``    CSV, JSONL and Parquet
=============  =====================================================================
"""

from mcnb.batch.engine import Engine, Local
from mcnb.batch.job import Job, Watch
from mcnb.batch.output import Output
from mcnb.batch.source import Source
from mcnb.batch.standing import Standing

__all__ = ["Engine", "Job", "Local", "Output", "Source", "Standing", "Watch"]
