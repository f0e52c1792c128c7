"""From readings of a counter or of power to the joules of a window."""
