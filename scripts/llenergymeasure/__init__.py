"""Measures what each way of running a language model costs in joules, seconds and bytes."""

__version__ = "0.2.0"
