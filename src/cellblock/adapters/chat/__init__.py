"""The chat door: models answer questions by running code, and nothing of it is lost."""

from cellblock.adapters.chat.door import router
from cellblock.adapters.chat.models import Models, ModelSettings

__all__ = ["ModelSettings", "Models", "router"]
