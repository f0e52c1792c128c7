"""Warm, and equally warm: when a warm-up ends, and how warm devices are when a window begins."""
