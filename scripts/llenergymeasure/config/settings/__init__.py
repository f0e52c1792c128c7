"""The shapes of the settings: one class per block of a study file. They hold no rules."""
