"""What can be wrong with results on disk."""


class ResultsError(Exception):
    """A results file is broken or missing; the message names it and says what to do."""
