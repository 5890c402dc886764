"""What crosses the boundary between server and fork server: plain values as JSON packets. Standard library only.

The fork server is born with one control connection: it reads `Configure` and answers `Ready` or `Refused`. Each `Launch` on it
carries both ends of a socket pair: one for the sandbox's init, the other, the server's own, to be kept for its successor.
`End` ends everything. A connection that closes without it was a server that has gone: for `wait` seconds another one may
come through the rendezvous. It hears `Here`, and says `End`, or `Resume` and hears each sandbox's `Launch` again, without
the key and with the server's end beside it, and then `Ready`. Sandboxes that have ended meanwhile are among them, with
their `Exit` and `Gone` still to be heard.

That SEQPACKET pair is one sandbox's life. The server hears, in order, `Bound` (with the kernel's pidfd and init's), at some
time `Exit` (the kernel process ended), and last `Gone` (nothing of the sandbox is left). `Refused` takes the place of
all of them when the sandbox could not be closed. While it lives the server may send `Interrupt`, which `Interrupted`
answers, or `Stop`, and a new server `Attach`, to hear `Bound` again. Closing the server's end says nothing: the fork
server holds it too.

A kernel that asked for snapshots leaves them when it ends: the server hears `Left`, and says `Revive`, or `Stop`. `Revive`
ends a kernel that lives; then `Bound` tells of the revived one, and the life of the sandbox goes on with it. `Kill` ends the
kernel alone. `Look` is answered by `Snapshots`, `Drop` by nothing.

`Branch` on the control connection carries a pair as `Launch` does, for one more session in a sandbox that is there: init
gets its end, and the pair is that session's life from then on. As long as others live there too, a session that ends hears
`Parted` and no `Gone`; the pair that came with `Launch` stays open, and hears `Gone` in the end all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["full", "unprivileged", "off"]

MAX_PACKET = 64 * 1024
MAX_STREAM = 256 * 1024  # bytes of one `stream` message of a well-behaved kernel
MAX_SNAPSHOTS = 24  # of one session
BRANCHES = tuple("123456789abc")  # names of the directories that hold workspaces of branches
MAX_DISPLAY = 8 * 1024 * 1024  # bytes of any other message; a larger one becomes an error output in the kernel


@dataclass(frozen=True, slots=True)
class Policy:
    """What one kernel may do. Sizes are bytes, `cpus` is cores; `level` is never weaker than the fork server's own."""

    level: Level
    memory: int = 2 << 30
    processes: int = 128
    cpus: float = 2.0
    tmp: int = 256 << 20
    file: int = 1 << 30
    descriptors: int = 1024


@dataclass(frozen=True, slots=True)
class Configure:
    """Makes a fork server. `data` is the data directory's absolute path; `filter` is the level's seccomp program, base64.

    `wait`: seconds it waits for another server when this one has gone; 0: not at all. `fingerprint`: of all that makes its
    kernels what they are; another server takes over only a fork server that it would start just so.
    """

    environment: str
    data: str
    level: Level
    preload: tuple[str, ...] = ()
    filter: str = ""
    wait: float = 0.0
    fingerprint: str = ""
    op: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True)
class Ready:
    """The fork server takes launches. `facts`: python, ipykernel, missing, warming, cgroups, landlock, milliseconds per stage."""

    level: Level
    facts: dict[str, Any] = field(default_factory=dict)
    op: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Here:
    """A fork server to a server that has come through its rendezvous."""

    environment: str
    fingerprint: str
    op: Literal["here"] = "here"


@dataclass(frozen=True, slots=True)
class Resume:
    """A new server has taken over: hand over the sandboxes. `wait` as in `Configure`."""

    wait: float
    op: Literal["resume"] = "resume"


@dataclass(frozen=True, slots=True)
class End:
    """To the fork server: end every sandbox, and then yourself."""

    op: Literal["end"] = "end"


@dataclass(frozen=True, slots=True)
class Launch:
    """Asks for one sandbox. `home` is a path relative to the data directory; it holds `files` and `run`, which `uid` will own.

    `key` is empty on the way to the fork server: it is the first packet on the sandbox's own connection.

    `command`: a kernel that is no fork of the template, with `{connection_file}` where its connection file is to stand;
    `variables`: [name, value] each, which it has besides. `lineage`: of a branch that another server is told of, see `Branch`.
    """

    id: str
    home: str
    uid: int
    key: str
    policy: Policy
    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    lineage: tuple[str, ...] = ()
    op: Literal["launch"] = "launch"


@dataclass(frozen=True, slots=True)
class Branch:
    """Asks for a kernel of session `id` in the sandbox whose home is `home`: a twin of session `parent`'s snapshot `name`.

    The snapshot stays one. `lineage`: names of workspaces in BRANCHES, that of a branch's branch behind that of the branch;
    the last one is its own, and filled already. `key` comes as that of a `Launch` does; the rest is as in `Revive`.
    `Bound`, or `Refused` and then `Parted`.
    """

    id: str
    home: str
    parent: str
    name: str
    key: str
    prefix: str
    lineage: tuple[str, ...]
    count: int = 0
    reseed: bool = False
    op: Literal["branch"] = "branch"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """SIGINT to the kernel and to the processes of its group."""

    op: Literal["interrupt"] = "interrupt"


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The signal is sent: what the kernel begins from now on is not hit by it."""

    op: Literal["interrupted"] = "interrupted"


@dataclass(frozen=True, slots=True)
class Stop:
    """End the sandbox and everything in it."""

    op: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Attach:
    """To init, from a server that has taken over: say `Bound` again."""

    op: Literal["attach"] = "attach"


@dataclass(frozen=True, slots=True)
class Kill:
    """End the kernel process, and nothing else of its sandbox."""

    op: Literal["kill"] = "kill"


@dataclass(frozen=True, slots=True)
class Revive:
    """The kernel ends, if it lives, and so does all that the cells have started; snapshot `name` becomes the kernel.

    `key` is its new key; its sockets' names begin with `prefix`; `count`: executions so far; `reseed`: it shall not draw
    the numbers again that its twin has drawn. `Bound`, or `Refused` at step `revive`: then there is no such snapshot, and a
    kernel that lives goes on. `keep`: the state that the kernel is in is to be kept under that name, if it can be; where
    the snapshot ends while the kernel makes way, that one stands up again instead, as `Bound` says.
    """

    name: str
    key: str
    prefix: str
    count: int = 0
    reseed: bool = False
    keep: str = ""
    op: Literal["revive"] = "revive"


@dataclass(frozen=True, slots=True)
class Drop:
    """These snapshots are not needed any more."""

    names: tuple[str, ...]
    op: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True)
class Look:
    """Asks which snapshots there are."""

    op: Literal["look"] = "look"


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Those that there are. A pidfd of each travels beside it, but of the last ones, which are just being made."""

    names: tuple[str, ...] = ()
    op: Literal["snapshots"] = "snapshots"


@dataclass(frozen=True, slots=True)
class Left:
    """The kernel has ended, its snapshots have not. `for_memory`: init ended it, because there is no cgroup to do that.

    `group` names its cgroup, for a server that has not heard `Bound`. `prefix` began the names of that kernel's sockets: it may
    be said twice, and the second time another one may be on its way.
    """

    names: tuple[str, ...] = ()
    for_memory: bool = False
    group: str = ""
    prefix: str = ""
    op: Literal["left"] = "left"


@dataclass(frozen=True, slots=True)
class Bound:
    """The kernel's sockets are bound. `stages` are milliseconds per step; `group` names its cgroup.

    Pidfds of kernel and init travel beside it.

    `key` and `prefix` are for a server that has taken over: nobody else remembers them. `outside`: the kernel is the
    fork server's child, and no child of init's; see `Exit`. `state`: the snapshot that it was before, if it was one.
    """

    stages: dict[str, float] = field(default_factory=dict)
    group: str = ""
    key: str = ""
    prefix: str = ""
    outside: bool = False
    state: str = ""
    op: Literal["bound"] = "bound"


@dataclass(frozen=True, slots=True)
class Exit:
    """The kernel process ended: an exit status ≥ 0, or minus the signal. `outside`: it was the fork server's child, which
    says so; it may be a state that sleeps, and no kernel any more."""

    status: int
    outside: bool = False
    op: Literal["exit"] = "exit"


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of the sandbox is left. `oom_kills`: kills by its memory limit; `memory_peak`: bytes (0: unknown)."""

    oom_kills: int = 0
    memory_peak: int = 0
    op: Literal["gone"] = "gone"


@dataclass(frozen=True, slots=True)
class Parted:
    """Nothing of a session is left in the sandbox, where others live on. `for_memory` as in `Left`."""

    for_memory: bool = False
    op: Literal["parted"] = "parted"


@dataclass(frozen=True, slots=True)
class Refused:
    """The sandbox was not closed and no kernel runs. `step` is the restriction that failed."""

    step: str
    reason: str
    op: Literal["refused"] = "refused"


Message: TypeAlias = (
    Configure
    | Ready
    | Here
    | Resume
    | End
    | Launch
    | Branch
    | Interrupt
    | Interrupted
    | Stop
    | Attach
    | Kill
    | Revive
    | Drop
    | Look
    | Snapshots
    | Left
    | Bound
    | Exit
    | Gone
    | Parted
    | Refused
)

KINDS: Mapping[str, type[Any]] = {
    "configure": Configure,
    "ready": Ready,
    "here": Here,
    "resume": Resume,
    "end": End,
    "launch": Launch,
    "branch": Branch,
    "interrupt": Interrupt,
    "interrupted": Interrupted,
    "stop": Stop,
    "attach": Attach,
    "kill": Kill,
    "revive": Revive,
    "drop": Drop,
    "look": Look,
    "snapshots": Snapshots,
    "left": Left,
    "bound": Bound,
    "exit": Exit,
    "gone": Gone,
    "parted": Parted,
    "refused": Refused,
}


def encode(message: Message) -> bytes:
    """One packet."""
    return json.dumps(asdict(message), separators=(",", ":")).encode()


def decode(packet: bytes) -> Message:
    """The message of a packet; ValueError when it is none (a packet may come from hostile hands)."""
    try:
        raw = json.loads(packet)
        kind = KINDS[raw["op"]]
        known = {f.name for f in fields(kind)}
        values = {name: value for name, value in raw.items() if name in known}
        if kind is Launch:
            values["policy"] = Policy(**values["policy"])
        for listed in ("preload", "names", "command", "lineage"):
            if listed in values:
                values[listed] = tuple(values[listed])
        if kind is Launch:
            values["variables"] = tuple((str(name), str(value)) for name, value in values.get("variables", ()))
        made: Message = kind(**values)
    except (KeyError, TypeError, ValueError, RecursionError) as problem:
        raise ValueError(f"not a message: {problem}") from None
    return made
