"""The ways to generate, and the keywords they pass to the library."""
