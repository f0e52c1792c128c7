"""The memory that a model and its generation need, estimated from config.json and the headers of its weights."""
