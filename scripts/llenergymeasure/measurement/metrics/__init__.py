"""From one window to the metrics of one experiment, each with its uncertainty budget."""
