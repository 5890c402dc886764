"""How the API shows what the host keeps."""

from typing import Literal

from typing_extensions import TypedDict


class KernelView(TypedDict):
    """A session as the API shows it under the name of kernel. Times are ISO 8601 in UTC."""

    id: str
    title: str | None
    environment: str
    state: Literal["starting", "idle", "busy", "released"]
    sandbox: Literal["full", "unprivileged", "off", "remote"]
    queue: int
    execution_count: int
    created: str
    last_used: str
    memory_bytes: int
