"""Local HTTP servers that speak the real wire of model providers, to drive the providers' own clients against."""
