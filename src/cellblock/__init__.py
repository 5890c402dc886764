"""Cellblock, a self-hosted code interpreter. Names are loaded when they are used: guests import this package too."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cellblock.version import __version__

if TYPE_CHECKING:
    from cellblock.app import create_app
    from cellblock.errors import CellblockError
    from cellblock.execution import Event, Result
    from cellblock.host.config import Config, ExecuteRequest
    from cellblock.host.interpreter import Interpreter
    from cellblock.host.launcher import Environment
    from cellblock.notebook import Notebook
    from cellblock.settings import Settings

__all__ = [
    "CellblockError",
    "Config",
    "Environment",
    "Event",
    "ExecuteRequest",
    "Interpreter",
    "Notebook",
    "Result",
    "Settings",
    "__version__",
    "create_app",
]

_HOMES = {
    "CellblockError": "errors",
    "Config": "host.config",
    "Environment": "host.launcher",
    "Event": "execution",
    "ExecuteRequest": "host.config",
    "Interpreter": "host.interpreter",
    "Notebook": "notebook",
    "Result": "execution",
    "Settings": "settings",
    "create_app": "app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
