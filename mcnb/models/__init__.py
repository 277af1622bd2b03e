"""The model layer: where weights come from, one copy of them in memory, generation.

========================  =============================================================================
``drivers/``              the engines behind one contract: transformers, llama.cpp, a server
``sources/``              fetch: the Hub, this machine's files, the package index; GGUF conversion
``peft_adapters``         LoRA adapters, added to a model's weights
``snapshot``              a model's files, checked for completeness (``model_files`` reads them)
``hardware``              which device and dtype, by measured capability
``loading``               weights into memory, to a ``loaded`` model
``quantizing/``           matrices in fewer bits; ``packing`` puts whole ones in order (``matrices``, ``probing``)
``cache``                 one copy for everybody in this process; a ``flight`` is work many wait for
``spec``, ``lease``       what a component asks for; what it is given
``resident``              what is told about a model in memory
``parameters``            generation parameters and where each value comes from
``generation``            one generation, token by token; its ``rows``, their ``detokenizer``, ``sampling``
``budget``, ``stops``     how many tokens may follow; where a text is to end
``chat``                  a conversation, rendered with the model's chat template
``owner``                 the one thread that uses a loaded model
``control``               says stop, to all of them; ``progress`` says how far they are
``loop_thread``           an event loop in a thread of its own
``estimate``              how much memory a model needs, before loading it
``inventory``             the models on this machine's disk
========================  =============================================================================

torch and transformers are imported inside functions: the first loaded model pays for them, not ``import mcnb``.
"""
