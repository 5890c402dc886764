"""A second kernel, of the same owner or of another: its files, sockets, keys, memory and processes."""

from attacks import Attempt

ATTEMPTS = [
    Attempt("the workspace of another kernel", "os.listdir(OTHER['files'])", control="os.listdir('.')"),
    Attempt("a file in it", "open(OTHER['files'] + '/note').read()"),
    Attempt("write into it", "open(OTHER['files'] + '/evil', 'w')"),
    Attempt("watch it", "watched(OTHER['files'])"),
    Attempt("link to a file in it", "hard_linked(OTHER['files'] + '/note')", off=None, control="own_hard_link()"),
    Attempt("the sockets of another kernel", "os.listdir(OTHER['run'])"),
    Attempt(
        "connect to its shell", "through_link(lambda name: unix(name + '/k-1'), OTHER['run'])", control="own_pair()"
    ),
    Attempt(
        "connect to its control", "through_link(lambda name: unix(name + '/k-5'), OTHER['run'])", control="own_pair()"
    ),
    Attempt(
        "a path socket of its own",
        "through_link(lambda name: unix(name + '/listener'), OTHER['files'])",
        control="own_pair()",
    ),
    Attempt("an abstract socket of its own", "unix(b'\\0' + OTHER['abstract'].encode())", control="own_pair()"),
    Attempt("a TCP port of its own", "tcp(OTHER['port'])", control="own_pair()"),
    Attempt("its temporary files", "open(OTHER['temporary']).read()", control="tempfile.NamedTemporaryFile()"),
    Attempt("its shared memory", "open(OTHER['shared']).read()"),
    Attempt("its System V shared memory", "shared_memory(OTHER['shm'])"),
    Attempt("its log", "open(OTHER['log']).read()"),
    Attempt("signal it", "os.kill(OTHER['pid'], 0)", control="os.kill(os.getpid(), 0)"),
    Attempt("signal its init", "os.kill(OTHER['init'], 0)", control="os.kill(os.getpid(), 0)"),
    Attempt("its memory", "open(f\"/proc/{OTHER['pid']}/mem\", 'rb')"),
    Attempt("its root", "os.listdir(f\"/proc/{OTHER['pid']}/root/\")"),
    Attempt("its descriptors", "os.listdir(f\"/proc/{OTHER['pid']}/fd\")"),
    Attempt("its key in memory", "remembered(OTHER['key'])", off=None, control="remembered(OWN_TEXT)"),
]
