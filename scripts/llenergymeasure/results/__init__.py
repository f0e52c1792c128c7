"""From measurements to tables, a page, and an answer."""
