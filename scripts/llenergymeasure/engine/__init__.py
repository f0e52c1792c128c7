"""From intent to transformers calls, and back from what happened to evidence."""
