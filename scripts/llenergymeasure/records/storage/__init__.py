"""How records lie on the disk: paths, whole files, the journal, reading."""
