"""What a results folder holds so that the study can be measured again from it alone."""
