"""What else the host did during a window."""
