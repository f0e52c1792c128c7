"""The sources of prompts: a file per source, and a line per source in `measurement/prompts/datasets.py`."""
