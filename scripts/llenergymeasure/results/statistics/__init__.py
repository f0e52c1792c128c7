"""Estimates, intervals and comparisons over replicates."""
