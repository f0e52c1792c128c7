"""Loading, quantizing and compiling a model."""
