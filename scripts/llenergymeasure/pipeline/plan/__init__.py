"""The plan: what is measured, with what, in which order."""
