"""CPU packages and their memory, read through Linux's powercap tree."""
