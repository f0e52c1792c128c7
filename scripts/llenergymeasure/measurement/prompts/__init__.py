"""The prompts of an experiment, as texts and as token ids."""
