"""Reading devices while a window is open, in a thread or in a process of its own."""
