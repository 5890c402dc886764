"""Values to JSON, whatever a kernel put into them: lone surrogates and NaN never break an answer."""

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from starlette.responses import Response


def dumps(value: object) -> bytes:
    """One line of JSON in UTF-8. What JSON cannot say becomes U+FFFD or null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError, ValueError):
        return json.dumps(_sayable(value), separators=(",", ":"), ensure_ascii=False).encode()


def _sayable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_sayable(str(key))): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value


class Json(Response):
    """An answer whose content goes to the wire as it is: routes declare its shape, nothing is copied again."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return dumps(content)
