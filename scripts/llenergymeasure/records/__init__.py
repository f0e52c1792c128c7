"""The border between measuring and reporting: the type of every file under results/."""
