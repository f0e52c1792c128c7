"""Small helpers that every process needs."""
