"""Comparisons that hold at once: to the reference, with the best, and how small a difference is found."""
