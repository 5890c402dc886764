"""The version, where every room may read it without importing another."""

__version__ = "0.1.0"
