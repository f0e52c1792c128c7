"""The report: one self-contained page, and the summary for the terminal."""
