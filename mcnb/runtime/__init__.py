"""The runtime: takes runs, executes their jobs, keeps their events and records.

================  ==========================================================================
``events``        numbered facts about a run, replayable from the first
``changes``       telling those who wait and those who listen
``run``           Run: one execution, for those who wait for it, stream it or cancel it
``reading``       reading a run from any thread and any event loop
``order``         Order: what a run is to do, checked and complete
``record``        Record: everything needed to repeat a run
``generations``   keeping the record of each generation
``provenance``    what a record keeps of the document, the libraries and the machine
``redaction``     what must not be written into records and messages
``plan``          what a run will do, checked before it starts
``calls``         the calls of a job, rendered and checked
``messages``      the messages of a chat, rendered and checked
``leases``        a job's hold on its model
``group``         some generations at once, their results in order
``jobs``          the execution of jobs that call components
``for_each``      the items of a for-each and of a filter
``conditions``    what if, switch and filter compare
``routing``       which job a routing job leads to
``policies``      what a job does when it fails
``waiting``       letting time pass
``job_run``       one run of one job, whatever its type
``ways``          the ways a run takes, and takes again
``scheduler``     which job can start next
``shown``         which jobs' text is the output's
``interruption``  Interruption: what a run asks a person
``pauses``        where the jobs of a run wait for a person
``deadline``      a run's time limit, which stands still meanwhile
``execution``     the execution of a run
``runtime``       Runtime: owns the loaded models and takes the runs
``default``       the Runtime of this process
``offering``      Offering: what can be done with compose files, whoever computes
``compose``       Compose: a Document with a Runtime, what ``mcnb.load`` returns
``opening``       opening a compose file: ``mcnb.load``
``batch``         Batch: one workflow for many rows
``batch_row``     BatchRow: one of them
``batch_table``   what went in and what came out
``rows``          the rows of a batch, read and checked
``row_files``     CSV, JSONL and Parquet
``row_orders``    what is done for each of them
``status``        Status: what a run is doing, how far it is, how long it still takes
``tracking``      a run's status, worked out from its events
``wording``       the words all interfaces use: names, sizes, the quiet last line
``rich``          what a run looks like in a notebook
``markdown``      Markdown that a model wrote, made harmless
``brief``         a run in few bytes
``table``         rows for reading, and for pandas
================  ==========================================================================
"""

from mcnb.runtime.batch import Batch
from mcnb.runtime.compose import Compose
from mcnb.runtime.default import default_runtime
from mcnb.runtime.events import Event
from mcnb.runtime.interruption import Interruption
from mcnb.runtime.offering import Offering
from mcnb.runtime.opening import load
from mcnb.runtime.record import Record
from mcnb.runtime.run import Run, State
from mcnb.runtime.runtime import Runtime
from mcnb.runtime.status import Status

__all__ = [
    "Batch",
    "Compose",
    "Event",
    "Interruption",
    "Offering",
    "Record",
    "Run",
    "Runtime",
    "State",
    "Status",
    "default_runtime",
    "load",
]
