"""The document layer: YAML text to a checked Document, its expressions, its inputs and their schema.

It needs neither torch nor Jupyter: a file can be validated on any machine.
"""

from mcnb.compose.document import Document
from mcnb.compose.input_check import check_input, parse_pair, parse_text_value
from mcnb.compose.inputs import Input, Inputs
from mcnb.compose.json_schema import document_schema, input_schema
from mcnb.compose.loading import Environment, document_from_source, load_document

__all__ = [
    "Document",
    "Environment",
    "Input",
    "Inputs",
    "check_input",
    "document_from_source",
    "document_schema",
    "input_schema",
    "load_document",
    "parse_pair",
    "parse_text_value",
]
