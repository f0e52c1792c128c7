"""From a study file to validated experiments."""
