"""What a study scatters by: sums of squares, variances, and which experiments scatter more."""
