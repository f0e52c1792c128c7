"""A worker that makes its figures up, so that the pipeline can be run on more experiments than anybody can measure."""
