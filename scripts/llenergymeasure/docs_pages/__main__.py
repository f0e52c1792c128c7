"""Write every generated page and the schema: `python -m llenergymeasure.docs_pages`, or `make pages`."""

from __future__ import annotations

from llenergymeasure.docs_pages import grid_table, metrics_page, parameter_page, reference, results_page, schema

if __name__ == "__main__":
    for page in (grid_table, schema, reference, parameter_page, metrics_page, results_page):
        page.main([])
