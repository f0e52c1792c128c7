"""From a study's files to typed records."""
