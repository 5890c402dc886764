"""Makes kernels on request: prepares once what all of them are forked from. One thread; waits for nobody but its own helpers.

At level full those are the nursery, which makes inits, and the template, which forks kernels; at others it forks itself.
"""

import base64
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from cellblock.guest import ending, filesystem, holes, init, limits, linux, pages, rendezvous, sandbox, threads
from cellblock.guest.marks import milliseconds
from cellblock.guest.nursery import Nursery, Order, nobodys
from cellblock.guest.seat import keyed, tell
from cellblock.guest.template import Template
from cellblock.messages import (
    BRANCHES,
    MAX_PACKET,
    Branch,
    Configure,
    End,
    Exit,
    Gone,
    Here,
    Launch,
    Policy,
    Ready,
    Refused,
    Resume,
    decode,
    encode,
)

if TYPE_CHECKING:
    from cellblock.guest.birth import Birth, Newborn

SINGLE_THREADED = threads.environment(1) | {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's allocator would start one when pandas imports it
}
RETRY_SECONDS = 0.02
ORPHAN_SECONDS = 2.0


def main(_arguments: list[str]) -> NoReturn:
    """Descriptor 0 is the control connection. Exits when the server says so, or has gone and no other comes in time."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC), 0)
    message = decode(control.recv(MAX_PACKET))
    if not isinstance(message, Configure):
        sys.exit(f"expected to be configured, got {message.op}")
    server = ForkServer(rendezvous.Control(control, None, message.wait), message)
    try:
        server.start()
    except sandbox.StepFailed as failed:
        tell(control, Refused(failed.step, failed.reason))
        sys.exit(str(failed))
    server.serve()


@dataclass
class Child:
    """A sandbox: init's end of its connection, the server's end, and what it was asked for."""

    connection: socket.socket
    server: socket.socket
    launch: Launch
    group: str
    branches: list["Seated"] = field(default_factory=list)

    def close(self) -> None:
        """Nobody will be handed its ends."""
        for end in (self.server, *(each.server for each in self.branches)):
            end.close()

    def living(self) -> list["Seated"]:
        """Branches whose connections init has not closed."""
        poll = select.poll()
        for each in self.branches:
            poll.register(each.server, 0)
        ended = {fd for fd, _ in poll.poll(0)}
        for each in self.branches:
            if each.server.fileno() in ended:
                each.server.close()
        self.branches = [each for each in self.branches if each.server.fileno() >= 0]
        return self.branches


class Seated(NamedTuple):
    """A branch: the server's end of its connection, and what another server is told of it."""

    server: socket.socket
    launch: Launch


@dataclass
class ForkServer:
    """`groups`: cgroups, if any; `leftover`: those still to be removed; `children`: the sandboxes, by the pid of their init.

    `kernels`: at level full, the pid of each kernel and that of its init. `unheard`: sandboxes that have ended while there
    was no server; what was said of their end waits in the server's end.
    """

    nursery: Nursery = field(init=False)
    template: Template = field(init=False)

    control: rendezvous.Control
    config: Configure
    root: bool = field(default_factory=lambda: os.getuid() == 0)
    groups: limits.Groups | None = None
    children: dict[int, Child] = field(default_factory=dict)
    leftover: list[str] = field(default_factory=list)
    serial: int = 0
    next_group: str = ""
    kernels: dict[int, int] = field(default_factory=dict)
    unheard: list[Child] = field(default_factory=list)
    filling: list[object] = field(default_factory=list)
    own_pid_namespace: int = -1
    prefixes: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return self.config.level == "full"

    @property
    def data(self) -> str:
        return filesystem.HOST if self.full else self.config.data

    def start(self) -> None:
        """Closes the base around itself, prepares the template, says Ready. StepFailed names what did not work."""
        began = time.perf_counter()
        if not linux.supported():
            raise sandbox.StepFailed("machine", f"{os.uname().machine} is not supported: x86_64 and aarch64 are")
        self.program = base64.b64decode(self.config.filter)
        self.prefixes = filesystem.interpreter_prefixes()
        self._keep_data_apart()
        if self.config.wait:
            self.control.listener = rendezvous.opened(self.config.data, rendezvous.name_of(self.config.environment))
        self.groups, no_groups = limits.open_groups()
        self._enter_base()
        entered = time.perf_counter()
        facts = self._prepare()
        facts |= {"python": sys.version.split()[0], "prefix": sys.prefix, "landlock": filesystem.landlock_abi()}
        facts["cgroups"] = self.groups.facts() if self.groups else {"version": None, "reason": no_groups}
        facts["modules"] = sorted(name for name in sys.modules if name.split(".")[0] == "cellblock")
        facts["stages"] = {"base": milliseconds(began, entered), "prepare": milliseconds(entered)}
        self._settle()
        self.ready = Ready(self.config.level, facts)
        self._tell(self.ready)

    def _keep_data_apart(self) -> None:
        """Without mounts nothing could hide a data directory that lies among the interpreter's files."""
        if self.config.level == "unprivileged":
            for prefix in (*self.prefixes, "/usr"):
                if self.config.data.startswith(f"{prefix}/"):
                    raise sandbox.StepFailed("data directory", f"it lies in {prefix}, which kernels may read")

    def _enter_base(self) -> None:
        if not self.full:
            self._go_inside()
            linux.prctl(linux.CHILD_SUBREAPER, 1)  # what outlives an init comes to us
            return
        with sandbox.named("base namespaces"):
            self._enter_namespaces()
        with sandbox.named("base root"):
            filesystem.enter_base_root(self.config.data, self.prefixes)
        self.own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self.nursery = Nursery.start(self.program, self.prefixes, self.own_pid_namespace)  # while we are small

    def _enter_namespaces(self) -> None:
        """Own mount, PID and, if not root, user namespace. We go on as PID 1: when we die, so does every sandbox."""
        uid, gid = os.getuid(), os.getgid()
        linux.unshare(linux.NEWNS | linux.NEWPID | (0 if self.root else linux.NEWUSER))
        if not self.root:
            linux.map_identity(uid, gid, uid, gid)
        self._go_inside()

    def _go_inside(self) -> None:
        """The process goes on as a child, which will sit in cgroups; the one that waits for it can then remove them."""
        pid = os.fork()
        if pid:
            self._stay_outside(pid)
        linux.prctl(linux.PDEATHSIG, signal.SIGKILL)

    def _stay_outside(self, pid: int) -> NoReturn:
        """The process the server knows: waits for the one inside, and removes the cgroups that it cannot."""
        self.control.close()
        _, status = os.waitpid(pid, 0)
        if self.groups:
            for top in self.groups.top.values():  # by descriptor: the paths are gone with the root
                limits.sweep(top, prefix=self.groups.token)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)

    def _prepare(self) -> dict[str, Any]:
        """Imports ipykernel and the preload, with a private directory that lasts (fonts are searched for once)."""
        private = os.path.join(self.data, ".template", self.config.environment)
        os.makedirs(private, mode=0o700, exist_ok=True)
        os.environ.update(SINGLE_THREADED, MPLBACKEND=sandbox.ENVIRONMENT["MPLBACKEND"])
        os.environ.update(PLOTLY_RENDERER=sandbox.ENVIRONMENT["PLOTLY_RENDERER"])
        os.environ.update(IPYTHONDIR=private, MPLCONFIGDIR=private, HOME=private)
        os.chdir(private)  # Python imports from here: no place that others may write to
        try:
            self.kernel, self.birth = _late_modules()
            self.app, facts = self.kernel.prepare(self.config.preload)
        except ImportError as problem:
            raise sandbox.StepFailed("ipykernel", f"{problem}; install ipykernel into {sys.prefix}") from problem
        except Exception as problem:
            traceback.print_exc()
            raise sandbox.StepFailed("prepare", repr(problem)) from problem
        return dict(facts)

    def _settle(self) -> None:
        """One task, or a fork would lose the others; and nothing for the collector to touch in shared pages."""
        tasks = os.listdir("/proc/self/task")
        if len(tasks) != 1:
            raise sandbox.StepFailed(
                "one task", f"{len(tasks)} threads after preloading {', '.join(self.config.preload)}"
            )
        threads.find()
        if self.full:
            sandbox.lay_usual_environment()
        gc.collect()
        linux.give_back_memory()
        self.filling = holes.fill()
        list(pages.condensed())
        linux.forget_types()
        gc.freeze()
        if self.full:
            self.template = Template.start(self._born, self.own_pid_namespace)
        self._prepare_group()

    def _born(self, link: socket.socket, output: int) -> NoReturn:
        """In a fork of the template."""
        box = nobodys(self.prefixes, self.program)
        newborn: Newborn = self.birth.Newborn.ordered(self.kernel, self.app, box, link)
        newborn.join(link, output)

    # --- serving ---------------------------------------------------------------------------------------------------

    def serve(self) -> NoReturn:
        """Launches and reaps until a server says that it is enough, or there has been none for too long."""
        wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        while self.control.patience() != 0.0:
            self._wait(wake)
            self._meet()
            self._accept()
            self._reap()
            self._bury_ended()
            self._remove_groups()
        self._end()

    def _wait(self, wake: int) -> None:
        """Until a server or a child wants something, or it is time for something else."""
        poll = select.poll()
        helpers = {each.connection.fileno(): each for each in (self.nursery, self.template)} if self.full else {}
        for fd in (wake, *helpers, *self.control.descriptors()):
            poll.register(fd, select.POLLIN)
        waits = [self.control.patience(), RETRY_SECONDS if self.leftover else None]
        seconds = min((wait for wait in waits if wait is not None), default=None)
        ready = {fd for fd, _ in poll.poll(None if seconds is None else seconds * 1e3)}
        if wake in ready:
            os.read(wake, 4096)
        for fd in ready & helpers.keys():
            self._listen(helpers[fd])

    def _listen(self, helper: Nursery | Template) -> None:
        """Without it there are no more kernels, and nobody to say when one is gone."""
        try:
            helper.listen()
        except OSError:
            self._end()

    def _meet(self) -> None:
        """A server that has come through the rendezvous is told who is here, and decides what to do about it."""
        if self.control.met():
            self._tell(Here(self.config.environment, self.config.fingerprint))

    def _tell(self, message: Here | Ready | Launch, *ends: socket.socket) -> None:
        """To the server. One that does not listen has gone."""
        if self.control.connection is None:
            return
        try:
            socket.send_fds(self.control.connection, [encode(message)], [end.fileno() for end in ends])
        except OSError:
            self.control.lost()

    def _accept(self) -> None:
        """One request of the server's, if there is one."""
        if (received := self.control.received()) is None:
            return
        packet, fds = received
        ends = [socket.socket(fileno=fd) for fd in fds]
        try:
            self._obey(packet, ends)
        except (OSError, ValueError, sandbox.StepFailed) as problem:
            step = problem.step if isinstance(problem, sandbox.StepFailed) else "launch"
            for end in ends[:1]:
                with suppress(OSError):
                    end.recv(
                        MAX_PACKET, socket.MSG_DONTWAIT
                    )  # closed with a key unread, the server would hear a reset first
                tell(end, Refused(step, str(problem)))
            for end in reversed(ends):  # what the server waits for is the last to close
                end.close()

    def _obey(self, packet: bytes, ends: list[socket.socket]) -> None:
        if not packet:
            self.control.lost()
            return
        message = decode(packet)
        if isinstance(message, Launch) and len(ends) == 2:
            self._launch(ends[0], ends[1], message)
        elif isinstance(message, Branch) and len(ends) == 2:
            self._branch(ends[0], ends[1], message)
        elif isinstance(message, Resume):
            self._resume(message)
        elif isinstance(message, End):
            self._end()

    def _resume(self, message: Resume) -> None:
        """Hands the new server every sandbox there is, those first that have ended since the last one went."""
        self.control.wait = message.wait
        ended, self.unheard = self.unheard, []
        for child in (*ended, *self.children.values()):
            self._tell(child.launch, child.server)
            for branch in child.living():
                self._tell(branch.launch, branch.server)
        for child in ended:
            child.close()
        self._tell(self.ready)

    def _end(self) -> NoReturn:
        rendezvous.removed(self.data, rendezvous.name_of(self.config.environment), self.control.listener)
        if not self.full:
            ending.end_descendants()
        os._exit(0)

    def _launch(self, connection: socket.socket, server: socket.socket, launch: Launch) -> None:
        began = time.perf_counter()
        box = self._box(launch)
        self._own_home(box)
        with sandbox.named("cgroup"):
            self._limit_group(box.policy)
        if len(os.listdir(f"/proc/{self._forks}/task")) != 1:
            raise sandbox.StepFailed("one task", "what kernels are forked from has grown a thread")
        log = os.open(f"{box.home}/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        group = self.next_group
        try:
            if self.full:
                order = Order(keyed(launch, connection), box.home, box.uid, box.root, box.grouped, group, began)
                pid = self._into_init(order, connection, log)
            else:
                newborn = self.birth.Newborn(self.kernel, self.app, launch, box, began)
                pid = self._fork_init(self.birth.Birth(newborn, connection, log, group))
        finally:
            os.close(log)
        self.children[pid] = Child(connection, server, launch, group)
        try:
            self._prepare_group()
        except OSError:
            traceback.print_exc()  # the next launch tries again, and is refused if it cannot

    @property
    def _forks(self) -> int:
        """The process that the next kernel is forked from, and born in the cgroup of."""
        return self.template.pid if self.full else os.getpid()

    def _fork_init(self, birth: "Birth") -> int:
        """Forks an init, which forks its kernel."""
        pid = os.fork()
        if pid == 0:
            self.children.clear()  # a kernel finds nothing of its neighbours in the memory it was forked from
            birth.enter()
        return pid

    def _branch(self, connection: socket.socket, server: socket.socket, branch: Branch) -> None:
        """Init of a sandbox that is there hears of it in the place of the server, and gets its end; we keep the other."""
        child = next((each for each in self.children.values() if each.launch.home == branch.home), None)
        if child is None:
            raise ValueError("There is no such sandbox.")
        socket.send_fds(child.server, [encode(branch)], [connection.fileno()])
        connection.close()
        launch = replace(child.launch, id=branch.id, lineage=branch.lineage)
        child.branches = [*child.living(), Seated(server, launch)]

    def _into_init(self, order: Order, connection: socket.socket, log: int) -> int:
        """Has a kernel forked into the PID namespace of an init that waits in the nursery: the init's pid."""
        with closing(self.nursery.take()) as spare:
            ours, theirs = sandbox.packet_pair()
            with ours, theirs:
                output, output_end = os.pipe2(os.O_CLOEXEC)
                try:
                    ours.send(order.encode())  # past the template, which shall not remember it
                    spare.hire(order, connection.fileno(), log, output, ours.fileno())
                    with sandbox.named("PID namespace"):
                        pid = self.template.fork(theirs.fileno(), output_end, spare.namespace)
                finally:
                    os.close(output)
                    os.close(output_end)
        self.kernels[pid] = spare.pid
        return spare.pid

    def _box(self, launch: Launch) -> sandbox.Sandbox:
        if launch.policy.level != self.config.level:
            raise sandbox.StepFailed("level", f"{launch.policy.level} is not this fork server's {self.config.level}")
        if os.path.isabs(launch.home) or ".." in launch.home.split("/"):
            raise sandbox.StepFailed("home", f"{launch.home} is not below the data directory")
        return sandbox.Sandbox(
            policy=launch.policy,
            home=f"{self.data}/{launch.home}",
            uid=launch.uid if self.root else os.getuid(),
            root=self.root,
            prefixes=self.prefixes,
            filter=self.program,
            grouped=self.groups is not None,
            keep=set(),
        )

    def _own_home(self, box: sandbox.Sandbox) -> None:
        places = ["files", "run"] if self.full else ["files", "run", "tmp"]
        for part in places:
            path = f"{box.home}/{part}"
            os.makedirs(path, mode=0o700, exist_ok=True)
            if self.root and box.policy.level != "off":
                os.chown(path, box.uid, box.uid, follow_symlinks=False)
        for name in BRANCHES:  # the server's: what lies in them is made by it
            os.makedirs(f"{box.home}/b/{name}", mode=0o711, exist_ok=True)
        if self.root and box.policy.level == "unprivileged":
            self._let_through(box.home)

    def _let_through(self, home: str) -> None:
        """Another user, and no mount to bring its home near: it must pass our directories, unable to list them."""
        while home.startswith(self.data):
            os.chmod(home, os.stat(home).st_mode | 0o011)  # noqa: S103
            home = os.path.dirname(home)

    def _limit_group(self, policy: Policy) -> None:
        if self.groups:
            if not self.next_group:
                self._prepare_group()
            self.groups.limit(self.next_group, policy)

    def _prepare_group(self) -> None:
        """What forks it waits in the cgroup of the kernel to come, which is born there: to join later costs it 5 to 9 ms."""
        self.next_group = ""
        if self.groups:
            self.serial += 1
            name = f"{self.groups.token}-{self.serial}"
            self.groups.create(name)
            self.groups.join(name, self._forks)
            self.next_group = name

    def _reap(self) -> None:
        ended: ending.Reaped = []
        ending.reap_all(ended)
        for pid, status in ended:
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        """One of our children: a helper, an init, or an orphan that outlived its own."""
        if self.full and pid in (self.nursery.pid, self.template.pid):
            self._end()
        elif child := self.children.pop(pid, None):
            self._bury(child, status)

    def _bury_ended(self) -> None:
        """The helpers' children, at level full: kernels, and inits. When an init has ended, so has all of its PID namespace."""
        while self.full and (self.template.ended or self.nursery.ended):
            self._kernels_ended()
            if not self.nursery.ended:
                continue
            pid, status = self.nursery.ended.popleft()
            while pid in self.kernels.values():  # it went first, and the template is about to say so
                self._listen(self.template)
                self._kernels_ended()
            if child := self.children.pop(pid, None):
                self._bury(child, status)

    def _kernels_ended(self) -> None:
        while self.template.ended:
            pid, status = self.template.ended.popleft()
            if child := self.children.get(self.kernels.pop(pid, 0)):
                tell(child.connection, Exit(status, outside=True))

    def _bury(self, child: Child, status: int) -> None:
        gone = Gone(oom_kills=int(status == init.KILLED_FOR_MEMORY))
        if not self.full and status not in (0, init.KILLED_FOR_MEMORY):
            self._end_orphans()
        if self.groups:
            gone = Gone(self.groups.oom_kills(child.group), self.groups.memory_peak(child.group))
            self.leftover.append(child.group)
        tell(child.connection, gone)
        child.connection.close()
        if self.control.connection is None:
            self.unheard.append(child)
        else:
            child.close()

    def _end_orphans(self) -> None:
        """Without a PID namespace: an init ended before it could end what it had, and that has come to us."""
        reaped: ending.Reaped = []
        ending.end_all(self._orphans, patience=ORPHAN_SECONDS, reaped=reaped)
        for pid, status in reaped:
            self._ended(pid, status)

    def _orphans(self) -> set[int]:
        """All first, and then whose they are: what a kernel starts in between is none of these."""
        found = limits.descendants(os.getpid())
        return found - set(self.children).union(*(limits.descendants(pid) for pid in self.children))

    def _remove_groups(self) -> None:
        for name in list(self.leftover):
            try:
                if self.groups:
                    self.groups.remove(name)
                self.leftover.remove(name)
            except OSError:
                pass  # its last process is on its way out; soon again


def _late_modules() -> tuple[ModuleType, ModuleType]:
    """What imports ipykernel: in the base root, where only the environment is left to import from. And what a nursery that is
    forked before need not hold."""
    from cellblock.guest import birth, kernel

    return kernel, birth
