"""The pages and the schema that are generated from the declarations."""
