"""The tables of the report, one file per table. The templates lay them out."""
