"""What `make bench` runs: Cellblock and its peers in one run, section by section. It asserts nothing about time."""
