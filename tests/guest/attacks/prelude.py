"""What an attempt may use in its kernel, and the judge of it."""

PRELUDE = r'''
import ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, stat, struct, subprocess, sys, tempfile, threading
BAD = 1
INIT = os.getppid() or 1  # a kernel that has joined its init is nobody's child there
NEW = {"statmount": 457, "listmount": 458, "landlock_create_ruleset": 444, "clone3": 435, "memfd_secret": 447,
       "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
       "mount_setattr": 442, "pidfd_getfd": 438, "pidfd_open": 434, "pidfd_send_signal": 424, "io_uring_setup": 425,
       "io_uring_enter": 426, "io_uring_register": 427, "process_madvise": 440, "process_mrelease": 448,
       "quotactl_fd": 443, "open_tree_attr": 467, "getxattrat": 464}
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p

def refuse():
    raise PermissionError(errno.EPERM, "refused")

def number(name):
    if isinstance(name, int) or name in NEW:
        return NEW.get(name, name)
    import pyseccomp
    return pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)

def call(name, *arguments):
    """A system call. Only a refusal of the filter counts: what it names need not exist."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number(name)), *[ctypes.c_long(a) for a in arguments])
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result

def reach(name, *arguments):
    """A system call that names something of the host: that it cannot be found is a refusal."""
    try: call(name, *arguments)
    except OSError as problem:
        raise OSError(errno.EPERM if problem.errno in GONE else problem.errno, name)

def in_child(act):
    """In a process of its own: what it leaves behind ends with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 0
        try: act()
        except OSError as problem: code = problem.errno or errno.EIO
        except BaseException: code = 255
        os.write(writer, bytes([code])); os._exit(0)
    os.close(writer)
    said = os.read(reader, 1); os.close(reader)
    _, status = os.waitpid(pid, 0)
    if not said: refuse()  # killed for it
    if said[0]: raise OSError(said[0], "in a child")

def beside_sockets(name):
    place = "/run/cb" if os.path.isdir("/run/cb") else os.path.dirname(os.environ["HOME"]) + "/run"
    return place + "/" + name

def unix(path, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as s: s.connect(path)

def listening(address):
    with socket.socket(socket.AF_UNIX) as s: s.bind(address)

def datagram(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s: s.sendto(b"x", path)

def tcp(port, host="127.0.0.1"):
    socket.create_connection((host, port), 2).close()

def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2); s.connect(("127.0.0.1", port)); s.send(b"x"); s.recv(1)

def own_tcp():
    with socket.create_server(("127.0.0.1", 0)) as s: tcp(s.getsockname()[1])

def own_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0)); s.sendto(b"x", s.getsockname()); s.recv(1)

def own_pair():
    a, b = socket.socketpair(); a.send(b"x"); b.recv(1)

def other_families():
    opened = set()
    for family in range(64):
        for kind in (1, 2, 3, 5):
            if family not in (1, 2, 10, 16):
                try: call("socket", family, kind, 0); opened.add(family)
                except OSError as problem:
                    if problem.errno not in (errno.EAFNOSUPPORT, errno.EPERM): opened.add(family)
    opened or refuse()

def new_link():
    """Asks netlink for a new interface, without a kind: refused before that is looked at, or EOPNOTSUPP."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 32, 16, 0x0605, 1, 0) + bytes(16))
        code = -struct.unpack("=i", s.recv(4096)[16:20])[0]
        if code: raise OSError(code, "netlink")

def list_links():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0)); s.send(struct.pack("=IHHII", 32, 18, 0x0301, 1, 0) + bytes(16)); s.recv(65536)

def changed(change, path, how):
    try: before = os.stat(path)
    except OSError: refuse()
    change(path, how)
    after = os.stat(path)
    if (before.st_mode, before.st_mtime) == (after.st_mode, after.st_mtime): refuse()

def changed_by_reader(path, mode):
    fd = os.open(path, os.O_RDONLY)
    try: changed(os.fchmod, fd, mode)
    finally: os.close(fd)

def marked(path):
    """An attribute set through a descriptor that only reads, if it is really set then."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.setxattr(fd, "user.mine", b"1")
        os.getxattr(fd, "user.mine") == b"1" or refuse()
        os.removexattr(fd, "user.mine")
    except OSError as problem:
        raise OSError(errno.EPERM if problem.errno == errno.ENODATA else problem.errno, "setxattr")
    finally: os.close(fd)

def flagged(path):
    fd = os.open(path, os.O_RDONLY)
    try: fcntl.ioctl(fd, 0x40086602, (0x40).to_bytes(8, "little"))
    finally: os.close(fd)

def leased(path, kind=fcntl.F_RDLCK):
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(fd, 1024, kind)
        fcntl.fcntl(fd, 1024, fcntl.F_UNLCK)
    finally: os.close(fd)

def locked(path):
    fd = os.open(path, os.O_RDONLY)
    try: fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally: os.close(fd)

def watched(path):
    fd = libc.inotify_init1(0)
    if fd < 0: raise OSError(ctypes.get_errno(), "inotify_init1")
    watch = libc.inotify_add_watch(fd, path.encode(), 0x100)
    code = ctypes.get_errno()
    os.close(fd)
    if watch < 0: raise OSError(code, "inotify_add_watch")

def through_link(act, path):
    name = f"link-{os.urandom(4).hex()}"
    os.symlink(path, name)
    try: act(name)
    finally: os.unlink(name)

def hard_linked(path):
    name = f"hard-{os.urandom(4).hex()}"
    os.link(path, name); os.unlink(name)

def own_hard_link():
    open("for-a-link", "w").close(); hard_linked("for-a-link")

def reopened(path):
    """A descriptor that may do nothing, opened again through /proc."""
    fd = os.open(path, os.O_PATH)
    try: os.close(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))
    finally: os.close(fd)

def unnamed(directory):
    os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600))

def inherited():
    """Descriptors of files or directories that somebody has left open for us."""
    found = []
    for fd in range(1024):
        try: kind = os.fstat(fd).st_mode
        except OSError: continue
        if stat.S_ISDIR(kind) or stat.S_ISREG(kind) or stat.S_ISBLK(kind): found.append(fd)
    return found

def overwritten(path):
    """Writes to a file's shared pages through one's own memory, which ignores protections of mappings."""
    fd = os.open(path, os.O_RDONLY)
    at = libc.mmap(None, 4096, 1, 1, fd, 0)
    before = ctypes.string_at(at, 1)
    try:
        with open("/proc/self/mem", "r+b", 0) as memory:
            memory.seek(at); memory.write(bytes([before[0] ^ 1]))
    except OSError: refuse()
    os.pread(fd, 1, 0) != before or refuse()

def own_memory():
    at = libc.mmap(None, 4096, 1, 0x22, -1, 0)
    with open("/proc/self/mem", "r+b", 0) as memory:
        memory.seek(at); memory.write(b"y")
    ctypes.string_at(at, 1) == b"y" or refuse()

def capabilities():
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    return any(sets)

def bounding():
    return any(libc.prctl(23, number, 0, 0, 0) == 1 for number in range(41))

def become_root():
    try: os.setuid(0)
    except OSError: refuse()

def hide():
    libc.prctl(4, 0, 0, 0, 0)
    libc.prctl(3, 0, 0, 0, 0) == 0 or refuse()

def no_dumps():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) or refuse()

def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return ctypes.CFUNCTYPE(ctypes.c_int)(at)()

def by_interrupt(number):
    """A system call of 32-bit programs; its answer, or death."""
    def act():
        answer = machine_code(b"\x53\xb8" + number.to_bytes(4, "little") + b"\x31\xdb\x31\xc9\x31\xd2\xcd\x80\x5b\xc3")
        if -4096 < answer < 0: raise OSError(-answer, "int 0x80")
    in_child(act)

def by_64_bits():
    in_child(lambda: machine_code(b"\xb8\x27\x00\x00\x00\x0f\x05\xc3"))

def unknown_numbers():
    """Calls with numbers that nobody has given yet, or only x32 programs have: any that does anything?"""
    for number in (*range(468, 600), *range(0x40000000, 0x40000000 + 550)):
        try: call(number, -1, BAD, BAD, BAD, BAD, BAD)
        except OSError as problem:
            if problem.errno == errno.ENOSYS: continue
        return
    refuse()

def signal_child():
    p = subprocess.Popen(["sleep", "30"]); p.terminate(); p.wait()

def signal_by_pidfd(pid):
    try: fd = os.pidfd_open(pid)
    except OSError: refuse()
    try: signal.pidfd_send_signal(fd, 0)
    finally: os.close(fd)

def queued(pid):
    if libc.sigqueue(pid, 0, None) < 0:
        code = ctypes.get_errno()
        raise OSError(errno.EPERM if code in GONE else code, "sigqueue")

def forked():
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)

def threaded():
    t = threading.Thread(target=int); t.start(); t.join()

def shared_memory(key):
    libc.shmget.restype = ctypes.c_int
    if libc.shmget(key, 0, 0) < 0:
        code = ctypes.get_errno()
        raise OSError(errno.EPERM if code == errno.ENOENT else code, "shmget")

def blocks():
    """This process's memory that can be written: by /proc, or page by page around what Python and libc hold."""
    try: lines = open("/proc/self/maps").read().splitlines()
    except OSError: lines = []
    for line in lines:
        low, high = (int(n, 16) for n in line.split()[0].split("-"))
        if "rw" in line and high - low < 1 << 30:
            with open("/proc/self/mem", "rb", 0) as memory:
                memory.seek(low)
                yield memory.read(high - low) or b""
    if lines: return
    reader, writer = os.pipe()
    libc.sbrk.restype = ctypes.c_long
    for middle in {place & ~0xFFFFFF for place in (id(refuse), id(OWN_WHOLE), id(sys.modules), libc.sbrk(0))}:
        pages = []
        for page in range(middle - (32 << 20), middle + (32 << 20), 4096):
            readable = libc.write(writer, ctypes.c_void_p(page), 4096) == 4096
            pages.append(os.read(reader, 4096) if readable else b"")
        yield b"".join(pages)
    os.close(reader); os.close(writer)

def remembered(needle):
    """Whether this process's memory, which was another's before, holds a text given in halves."""
    first, second = (half.encode() for half in needle)  # joined, it would be found here
    for block in blocks():
        at = block.find(first)
        while at >= 0:
            if block[at + len(first) : at + len(first) + len(second)] == second: return
            at = block.find(first, at + 1)
    refuse()

def taken_away(path):
    os.rename(path, path + "-taken"); os.rename(path + "-taken", path)

OWN_TEXT = ["cellblock-own-", os.urandom(8).hex()]
OWN_WHOLE = "".join(OWN_TEXT)

REFUSALS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EAFNOSUPPORT, errno.EROFS, errno.EXDEV, errno.EOPNOTSUPP}
GONE = {errno.ENOENT, errno.ECONNREFUSED, errno.ESRCH, errno.EPROTONOSUPPORT, errno.ENETUNREACH, errno.ENXIO}

def judge(code):
    """allowed | blocked, and what was seen. What is not there, though it is on the host, is blocked too."""
    try: eval(code)
    except OSError as problem:
        by_name = problem.errno in GONE and not code.startswith("call(")
        refused = problem.errno in REFUSALS or by_name or isinstance(problem, socket.gaierror)
        return "blocked" if refused else "allowed", errno.errorcode.get(problem.errno, str(problem))
    except ValueError as problem:  # how setrlimit says EPERM
        return "blocked", str(problem)
    return "allowed", "done"
'''
