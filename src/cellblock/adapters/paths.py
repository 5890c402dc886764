"""Which addresses are the Jupyter door's: its errors have another shape, and a port may be opened for it alone."""

JUPYTER = ("/api/kernels", "/api/kernelspecs", "/api/sessions", "/api/contents", "/kernelspecs")


def is_jupyter(path: str) -> bool:
    """Whether a path belongs to Jupyter's API."""
    return path == "/api" or any(path == each or path.startswith(f"{each}/") for each in JUPYTER)
