"""Records of a study as a whole: its plan, what was checked before it, its interim analyses, its provenance."""
