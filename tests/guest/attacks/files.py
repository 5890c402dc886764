"""Reading the host's files and environments, and writing outside the workspace."""

from attacks import Attempt

READING = [
    Attempt("read a secret of the server's", "open(HOST['secret']).read()", control="open(os.__file__).read(1)"),
    Attempt(
        "read it through a symlink", "through_link(open, HOST['secret'])", control="through_link(open, os.__file__)"
    ),
    Attempt("read it from the root of a process", "open('/proc/self/root' + HOST['secret'])"),
    Attempt("read it from the root of init", "open(f'/proc/{INIT}/root' + HOST['secret'])"),
    Attempt(
        "read it upwards from the workspace",
        "open('../' * 30 + HOST['secret'][1:])",
        control="open('../' * 30 + os.__file__[1:])",
    ),
    Attempt("read it by a descriptor without rights", "reopened(HOST['secret'])"),
    Attempt("the attributes of a file", "os.getxattr(HOST['victim'], 'user.note')"),
    Attempt("the names of its attributes", "os.listxattr(HOST['victim'])"),
    Attempt("its size and times", "os.stat(HOST['victim'])", "blocked", "allowed"),
    Attempt("list the data directory", "os.listdir(HOST['data'])", control="os.listdir('.')"),
    Attempt("watch the data directory", "watched(HOST['data'])"),
    Attempt("list the working directory of init", "os.listdir(f'/proc/{INIT}/cwd')"),
    Attempt("a file that somebody has left open", "inherited() or refuse()", off=None, control="os.fstat(1)"),
    Attempt(
        "a token in the environment",
        "'CELLBLOCK_TEST_SECRET' in os.environ or refuse()",
        off=None,
        control="'PATH' in os.environ or refuse()",
    ),
    Attempt(
        "a token in the environment that the program began with",
        "b'CELLBLOCK' in open('/proc/self/environ', 'rb').read() or refuse()",
        off=None,
        control="os.environ['HOME']",
    ),
    Attempt("a token in memory", "remembered(HOST['token'])", off=None, control="remembered(OWN_TEXT)"),
    Attempt(
        "the keys of the server's session",
        "HOST['key'] in open('/proc/keys').read() or refuse()",
        off=None,
        control="HOST['key seen'] or refuse()",
    ),
    Attempt("read /etc/passwd of the host", "'root' in open('/etc/passwd').read() or refuse()"),
    Attempt("list /home", "os.listdir('/home')"),
    Attempt("list /sys", "os.listdir('/sys/kernel')"),
    Attempt(
        "all of memory",
        "os.close(os.open('/proc/kcore', os.O_RDONLY))",
        off=None,
        control="os.close(os.open('/dev/null', os.O_RDONLY))",
    ),
    Attempt("kernel messages", "open('/dev/kmsg', 'rb')", control="open('/dev/null', 'rb')"),
    Attempt("kernel messages in /proc", "os.close(os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK))"),
    Attempt(
        "a disk",
        "os.close(os.open(HOST['disk'], os.O_RDONLY))",
        off=None,
        control="os.close(os.open('/dev/zero', os.O_RDONLY))",
    ),
    Attempt(
        "run a program of the host",
        "subprocess.run([HOST['program']], check=True)",
        control="subprocess.run(['true'], check=True)",
    ),
    Attempt("read the interpreter", "open(os.__file__).read(1)", "allowed", "allowed"),
    Attempt("run a program", "subprocess.run(['true'], check=True)", "allowed", "allowed"),
    Attempt("own entry in /proc", "open('/proc/self/status').read()", "allowed"),
]

WRITING = [
    Attempt("write into the data directory", "open(HOST['data'] + '/evil', 'w')", control="open('good', 'w')"),
    Attempt("write into the interpreter", "open(sys.prefix + '/evil', 'w')"),
    Attempt("write into /usr", "open('/usr/evil', 'w')"),
    Attempt("write into a file of the host", "open(HOST['victim'], 'r+')", control="open('victim', 'w+')"),
    Attempt(
        "cut a file of the host",
        "os.truncate(HOST['victim'], 0)",
        control="open('cut', 'w').close() or os.truncate('cut', 0)",
    ),
    Attempt("write into it through a symlink", "through_link(lambda name: open(name, 'a'), HOST['victim'])"),
    Attempt(
        "take a file of the host away",
        "os.unlink(HOST['doomed'])",
        control="open('mine', 'w').close() or os.unlink('mine')",
    ),
    Attempt(
        "move a file of the host here",
        "os.rename(HOST['moved'], 'moved')",
        control="open('mine', 'w').close() or os.rename('mine', 'yours')",
    ),
    Attempt("a hard link to a file of the host", "hard_linked(HOST['victim'])", control="own_hard_link()"),
    Attempt("a hard link to a file that may be read", "hard_linked(HOST['own'])", off=None, control="own_hard_link()"),
    Attempt("a directory outside", "os.mkdir(HOST['outside'] + '/directory')", control="os.mkdir('directory')"),
    Attempt("a symlink outside", "os.symlink('/etc', HOST['outside'] + '/link')", control="os.symlink('/etc', 'link')"),
    Attempt("a pipe outside", "os.mkfifo(HOST['outside'] + '/pipe')", control="os.mkfifo('pipe')"),
    Attempt(
        "a socket outside",
        "socket.socket(socket.AF_UNIX).bind(HOST['outside'] + '/listener')",
        control="own_pair()",
    ),
    Attempt("a file without a name outside", "unnamed(HOST['outside'])"),
    Attempt("a file beside the sockets", "open(beside_sockets('file'), 'w')"),
    Attempt("a directory beside the sockets", "os.mkdir(beside_sockets('directory'))"),
    Attempt("a link beside the sockets", "os.symlink('/etc', beside_sockets('link'))"),
    Attempt("a socket taken away", "taken_away(beside_sockets('k-1'))"),
    Attempt("change the mode of a file of the host", "changed(os.chmod, HOST['victim'], 0o640)"),
    Attempt("set the times of a file of the host", "changed(os.utime, HOST['victim'], (1, 1))"),
    Attempt(
        "change the mode of a program by a descriptor that reads",
        "changed_by_reader(HOST['own'], 0o600)",
        control="locked(HOST['own'])",
    ),
    Attempt("set an attribute by a descriptor that reads", "marked(HOST['own'])", control="locked(HOST['own'])"),
    Attempt(
        "set the flags of a file by a descriptor that reads", "flagged(HOST['own'])", control="locked(HOST['own'])"
    ),
    Attempt("a lease that makes all who open a program wait", "leased(HOST['own'])", control="locked(HOST['own'])"),
    Attempt(
        "a lease that makes the server wait",
        "open('held', 'w').close() or leased('held')",
        control="open('held', 'w').close() or locked('held')",
    ),
    Attempt("write to a program's pages", "overwritten(HOST['own'])", off=None, control="locked(HOST['own'])"),
    Attempt("write to the pages of the program that runs", "open('/proc/self/exe', 'r+b')"),
    Attempt(
        "make a device",
        "os.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(7, 0)) or os.unlink('disk')",
        control="os.mknod('plain', 0o600)",
    ),
    Attempt("write to the workspace", "open('mine.txt', 'w').write('x')", "allowed", "allowed"),
    Attempt("write to one's own pages", "own_memory()", "allowed"),
    Attempt("a temporary file", "tempfile.NamedTemporaryFile('w').write('x')", "allowed", "allowed"),
    Attempt("shared memory", "open('/dev/shm/mine', 'w').close() or os.unlink('/dev/shm/mine')", "allowed"),
    Attempt("null device", "open('/dev/null', 'w').write('x')", "allowed", "allowed"),
    Attempt("random device", "open('/dev/urandom', 'rb').read(1)", "allowed", "allowed"),
]
