"""One study against another measurement of it: a rerun, or several machines and days."""
