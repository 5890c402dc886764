"""The built-in analyst: a deterministic model that needs no key; a question and a schema become pandas code."""

from cellblock.adapters.analyst.model import AnalystModel

__all__ = ["AnalystModel"]
