"""The built-in analyst: a deterministic model that needs no key. It reads a question and a schema and writes pandas code."""

from cellblock.adapters.analyst.model import AnalystModel

__all__ = ["AnalystModel"]
