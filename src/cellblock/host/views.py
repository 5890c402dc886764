"""How the API shows what the host keeps."""

from typing import Literal, NamedTuple, TypeAlias

from typing_extensions import TypedDict

Shown: TypeAlias = Literal["full", "unprivileged", "off", "remote"]  # the sandbox level; `remote`: not ours to say


class Alias(TypedDict):
    """What a Jupyter client calls a session's notebook."""

    path: str
    name: str
    type: str


class EnvironmentView(TypedDict):
    """An environment as Jupyter lists it: a kernelspec without its files, which are at `resources`."""

    name: str
    display_name: str
    language: str
    resources: str | None


class KernelView(TypedDict):
    """A session as the API shows it under the name of kernel. Times are ISO 8601 in UTC."""

    id: str
    title: str | None
    environment: str
    state: Literal["starting", "idle", "busy", "released"]
    sandbox: Shown
    queue: int
    execution_count: int
    created: str
    last_used: str
    memory_bytes: int


class BranchView(KernelView):
    """A session that has just been made as a branch of another.

    `not_restored`: files of the workspace that are not as they were in the state, or could not be copied.
    """

    branched_from: "Origin"
    not_restored: list[str]
    notice: str | None


class Origin(TypedDict):
    """`execution_id`: the execution behind which the branch begins; null: where the kernel stood."""

    kernel_id: str
    execution_id: str | None


class Desk(NamedTuple):
    """A session as a Jupyter client sees it. `changed`: when anybody but such a client changed the notebook, ISO 8601."""

    kernel: KernelView
    alias: Alias | None
    file: str | None  # the notebook's other name in its folder
    changed: str
    connections: int


class StateView(TypedDict):
    """A state that is kept: the one before an execution, or, with nulls, behind the last one.

    `bytes`: memory that is its own alone. `undone`: the execution does not stand, and the state can be redone to.
    """

    execution_id: str | None
    cell_id: str | None
    created: str
    bytes: int
    undone: bool


class TravelView(TypedDict):
    """What an undo or a redo has changed: executions that do not stand any more, or stand again, and files by path."""

    kernel: KernelView
    undone: list[str]
    redone: list[str]
    restored: list[str]
    not_restored: list[str]
    notice: str | None
