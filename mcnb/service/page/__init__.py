"""The web page: Voila in a process of its own, with the form of the service's own API.

===============  ==================================================================
``settings``     what the page's process is told, through its standard input
``__main__``     that process
``application``  Voila, with its token, without the user's own configuration
``visitor``      what runs in a visitor's kernel: a form of the service, over HTTP
``form.ipynb``   the page's notebook
``share/``       the page's template
===============  ==================================================================
"""
