"""The run form: a widget made from a compose file's inputs.

===============  =====================================================================
``widget``       RunForm: the requests of the browser
``model``        what the form and its views share: traits, and the browser's side itself
``screen``       what is shown of the runs, and the news for the browser
``spec``         what the form asks for, as data for the browser
``reading``      what the controls hold, read as inputs and parameters
``runs``         the runs of a form
``shown_run``    one run as the form shows it
``live_text``    the text of a run while it grows
``batches``      the batch tab
``variables``    values of the notebook that the batch tab is pointed at by name
``snippets``     a run as code: magic, Python, HTTP, command
``follower``     the thread that watches runs and hands on what is new
``static_copy``  the last result as an ordinary output, for when there is no widget
``static/``      the browser's side: plain modules, put together in one
===============  =====================================================================
"""

from mcnb.notebook.form.widget import RunForm

__all__ = ["RunForm"]
