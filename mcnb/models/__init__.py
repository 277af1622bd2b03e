"""The model layer: where weights come from, one copy of them in memory, generation.

========================  =============================================================================
``sources/``              fetch: the Hub, this machine's files, the package index; GGUF conversion
``snapshot``              a model's files, checked for completeness
``hardware``              which device and dtype, by measured capability
``loading``               weights into memory
``cache``                 one copy for everybody in this process
``parameters``            generation parameters and where each value comes from
``generation``            one generation, token by token
``owner``                 the one thread that uses a loaded model
``estimate``              how much memory a model needs, before loading it
========================  =============================================================================

torch and transformers are imported inside functions: the first loaded model pays for them, not ``import mcnb``.
"""
