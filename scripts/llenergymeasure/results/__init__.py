"""From measurements to tables, a page and a terminal summary."""
