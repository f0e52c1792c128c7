"""Which settings fit together."""
