"""The acceptance of a GPU: what the pipeline takes for granted of a board, looked at on one, in under ten minutes."""
