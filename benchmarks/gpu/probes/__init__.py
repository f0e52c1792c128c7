"""The questions to a board, by subject."""
