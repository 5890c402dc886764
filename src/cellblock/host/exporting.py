"""A notebook as a file that somebody downloads."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cellblock.notebook import Notebook

Format: TypeAlias = Literal["ipynb", "py", "html", "md"]


@dataclass(frozen=True, slots=True)
class Export:
    """A notebook as a file."""

    filename: str
    media_type: str
    body: bytes


EXPORTS: dict[Format, tuple[str, Callable[[Notebook], str]]] = {
    "ipynb": ("application/x-ipynb+json", lambda notebook: json.dumps(notebook.to_ipynb(), indent=1) + "\n"),
    "py": ("text/x-python", Notebook.to_py),
    "html": ("text/html", Notebook.to_html),
    "md": ("text/markdown", Notebook.to_md),
}


async def exported(notebook: Notebook, format: Format) -> Export:
    """Of the notebook as it is now; rendered in a thread."""
    media_type, render = EXPORTS[format]
    body = await asyncio.to_thread(render, Notebook.from_view(notebook.view(), notebook.new_id))
    name = "".join(c if c.isalnum() or c in " -_" else "-" for c in notebook.title or "notebook").strip()
    return Export(f"{name[:80] or 'notebook'}.{format}", media_type, body.encode("utf-8", "replace"))
