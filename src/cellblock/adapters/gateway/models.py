"""Jupyter's models of what is in its tree: directories, files and notebooks, with or without content. Pure."""

import base64
import binascii
import json
import mimetypes
from typing import Any

from cellblock.content import Malformed, plain
from cellblock.errors import InvalidPath, InvalidRequest, NotARegularFile

Model = dict[str, Any]


def directory(path: str, modified: str, content: list[Model] | None) -> Model:
    made = _model(path, "directory", modified, "json" if content is not None else None)
    return {**made, "content": content, "size": None}


def notebook(path: str, modified: str, content: Any, size: int | None = None) -> Model:
    made = _model(path, "notebook", modified, "json" if content is not None else None)
    return {**made, "content": content, "size": size}


def file(path: str, modified: str, size: int) -> Model:
    """Without content."""
    kind = "notebook" if path.endswith(".ipynb") else "file"
    return {**_model(path, kind, modified, None), "size": size, "mimetype": _mimetype(path) if kind == "file" else None}


def agree(path: str, type: str, wanted: str | None) -> None:
    """InvalidPath for a directory that is wanted as something else, and for something else that is wanted as one."""
    if wanted is not None and (type == "directory") != (wanted == "directory"):
        raise InvalidPath(f"{path[:200]!r} is {'' if type == 'directory' else 'no directory but '}a {type}.")


def filled(model: Model, data: bytes, kind: str | None, format: str | None) -> Model:
    """A file's model with its content: as text where it is text, unless another format is wanted. NotARegularFile."""
    if (kind or model["type"]) == "notebook":
        return {**model, "type": "notebook", "format": "json", "content": as_notebook(data), "mimetype": None}
    made = {**model, "type": "file", "mimetype": _mimetype(model["path"])}
    if format != "base64":
        try:
            return {**made, "format": "text", "content": data.decode()}
        except UnicodeDecodeError:
            if format == "text":
                raise NotARegularFile("This file is no text in UTF-8.") from None
    return {**made, "format": "base64", "content": base64.encodebytes(data).decode()}


def as_notebook(data: bytes) -> Any:
    """A notebook that is a file. NotARegularFile when it is no JSON."""
    try:
        read = plain(json.loads(data))
    except (ValueError, RecursionError, Malformed):
        raise NotARegularFile("This file is no notebook.") from None
    if not isinstance(read, dict) or not isinstance(read.get("cells"), list):
        raise NotARegularFile("This file is no notebook of nbformat 4.")
    return read


def bytes_of(body: Model) -> bytes:
    """What a model of a file, or of a notebook that is one, puts into it. InvalidRequest."""
    content, format = body.get("content"), body.get("format")
    if body.get("type") == "notebook" or format == "json":
        return json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "replace") + b"\n"
    if not isinstance(content, str):
        raise InvalidRequest("The content of a file is text.")
    if format == "base64":
        try:
            return base64.b64decode(content)
        except (binascii.Error, ValueError):
            raise InvalidRequest("The content is not base64.") from None
    return content.encode("utf-8", "replace")


def _model(path: str, kind: str, modified: str, format: str | None) -> Model:
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "last_modified": modified,
        "created": modified,
        "content": None,
        "format": format,
        "mimetype": None,
        "writable": True,
        "type": kind,
        "hash": None,
        "hash_algorithm": None,
    }


def _mimetype(path: str) -> str:
    return mimetypes.guess_type(path)[0] or "application/octet-stream"
