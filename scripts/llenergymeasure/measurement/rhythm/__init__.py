"""Steps that repeat in a window: what meters are told of them, and pauses that break their step."""
