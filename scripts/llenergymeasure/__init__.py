"""Measures what each way of running a language model costs in joules, seconds and bytes."""

import logging

__version__ = "0.2.0"

# What torchao says whenever transformers imports it: that it lacks CUDA libraries, and that torch has a newer function.
_ON_IMPORT = {"torchao": "Failed to load ", "torch.utils._pytree": "<enum "}
for _name, _beginning in _ON_IMPORT.items():
    logging.getLogger(_name).addFilter(
        lambda record, beginning=_beginning: not record.getMessage().startswith(beginning)  # type: ignore[misc]
    )
