"""The acceptance of a GPU: check on a board, in under ten minutes, what the pipeline assumes about it."""
