"""What `make bench` runs: Cellblock and its peers in one run, in a table of ratios. It asserts nothing about time."""
