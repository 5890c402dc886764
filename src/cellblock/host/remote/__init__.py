"""Kernels of other Jupyter servers: how they are chosen, started, talked to, and given their files."""
