"""Models that need no download: from a Python package, or drawn at random."""
