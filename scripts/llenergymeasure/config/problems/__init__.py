"""What is wrong with a study: the problem, its words, and the catalogue of checks."""
