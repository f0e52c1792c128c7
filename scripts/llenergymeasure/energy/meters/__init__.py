"""The meters: one file or folder per instrument, one line each in the catalogue."""
