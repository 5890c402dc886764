"""A notebook as a file that somebody downloads."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cellblock.host.environments import AnyEngine
from cellblock.host.session import Session
from cellblock.notebook import Notebook
from cellblock.rendering import Speech

Format: TypeAlias = Literal["ipynb", "py", "html", "md"]


@dataclass(frozen=True, slots=True)
class Export:
    """A notebook as a file."""

    filename: str
    media_type: str
    body: bytes


EXPORTS: dict[Format, tuple[str, Callable[[Notebook, Speech], str]]] = {
    "ipynb": (
        "application/x-ipynb+json",
        lambda notebook, speech: json.dumps(notebook.to_ipynb(speech), indent=1) + "\n",
    ),
    "py": ("text/x-python", lambda notebook, _: notebook.to_py()),
    "html": ("text/html", lambda notebook, _: notebook.to_html()),
    "md": ("text/markdown", Notebook.to_md),
}


async def exported(session: Session, format: Format) -> Export:
    """Of the notebook as it is now; rendered in a thread."""
    notebook, (media_type, render) = session.notebook, EXPORTS[format]
    body = await asyncio.to_thread(
        render, Notebook.from_view(notebook.view(), notebook.new_id), speech_of(session.engine)
    )
    name = "".join(c if c.isalnum() or c in " -_" else "-" for c in notebook.title or "notebook").strip()
    return Export(f"{name[:80] or 'notebook'}.{format}", media_type, body.encode("utf-8", "replace"))


def speech_of(engine: AnyEngine) -> Speech:
    """What its kernels speak."""
    view, info = engine.view(), (engine.kernel_info or {}).get("language_info")
    return Speech(view["display_name"], view["language"], info if isinstance(info, dict) else {})
