"""Runs in the server: kernels, sessions and files as the server sees them. Never imports `guest`."""
