"""The questions that are put to a board, by what they look at."""
