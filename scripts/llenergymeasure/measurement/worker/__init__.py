"""The worker process, its manager, and the messages between them."""
