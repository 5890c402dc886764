"""Reaching a network, and sockets of the host."""

from attacks import Attempt

FAMILIES = [
    Attempt("socket: vsock", "call('socket', 40, 1, 0)", control="own_pair()"),
    Attempt("socket: netlink", "call('socket', 16, 3, 0)", "allowed"),
    Attempt("socket: internet stream", "call('socket', 2, 1, 0)", "allowed"),
    Attempt("socket: internet datagram", "call('socket', 2, 2, 0)", "allowed"),
    Attempt("socket: internet raw", "socket.socket(2, 3, 1)", control="own_pair()"),
    Attempt("socket: packet", "call('socket', 17, 3, 0)", control="own_pair()"),
    Attempt("socket: UNIX stream", "call('socket', 1, 1, 0)", "allowed", "allowed"),
    Attempt("socket: UNIX datagram", "call('socket', 1, 2, 0)", "allowed"),
    Attempt("socket: UNIX raw, a datagram by another name", "call('socket', 1, 3, 0)", "allowed"),
    Attempt("socket: every other family", "other_families()", control="own_pair()"),
    Attempt("socket family with garbage in the upper half", "call('socket', (1 << 32) | 40, 1, 0)"),
    Attempt("socket: a pair of another family", "call('socketpair', 40, 1, 0, BAD)"),
    Attempt("netlink for firewalls", "socket.socket(16, 3, 12)"),
    Attempt("netlink for events of processes", "socket.socket(16, 2, 11)"),
    Attempt("netlink of many families", "socket.socket(16, 3, 16)"),
    Attempt("a protocol that loads a module: SCTP", "socket.socket(2, 1, 132)", off=None, control="own_pair()"),
    Attempt("a protocol that loads a module: DCCP", "socket.socket(2, 6, 33)", off=None, control="own_pair()"),
    Attempt("a protocol that loads a module: UDP-Lite", "socket.socket(10, 2, 136)", off=None, control="own_pair()"),
    Attempt("TCP of many paths", "socket.socket(2, 1, 262)", off=None, control="own_pair()"),
    Attempt("a new network interface", "new_link()", off=None, control="own_pair()"),
    Attempt("list network interfaces", "list_links()", "allowed"),
]

REACHING = [
    Attempt("TCP to a listener of the host", "tcp(HOST['port'])", control="own_pair()"),
    Attempt(
        "TCP to it by another address of the loopback", "tcp(HOST['other port'], '127.8.9.10')", control="own_pair()"
    ),
    Attempt("TCP to the address of the cloud's metadata", "tcp(80, '169.254.169.254')", off=None, control="own_pair()"),
    Attempt("UDP to a listener of the host", "udp(HOST['udp'])", control="own_pair()"),
    Attempt("ask a name server", "socket.getaddrinfo('example.com', 80)", off=None, control="own_pair()"),
    Attempt("abstract socket of the host", "unix(b'\\0' + HOST['abstract'].encode())", control="own_pair()"),
    Attempt(
        "abstract datagram socket of the host",
        "datagram(b'\\0' + HOST['abstract datagram'].encode())",
        control="own_pair()",
    ),
    Attempt("path socket of the host", "unix(HOST['socket'])", control="own_pair()"),
    Attempt("path socket of the host through a symlink", "through_link(unix, HOST['socket'])", control="own_pair()"),
    Attempt("path socket of the host from the root of init", "unix(f'/proc/{INIT}/root' + HOST['socket'])"),
    Attempt(
        "answer under a name of the whole host's",
        "listening(b'\\0cellblock-' + os.urandom(8))",
        "allowed",
        control="own_pair()",
    ),
    Attempt("TCP to a listener of one's own", "own_tcp()", "allowed"),
    Attempt("UDP to a listener of one's own", "own_udp()", "allowed"),
    Attempt("a socket pair", "socket.socketpair()[0].send(b'x')", "allowed", "allowed"),
    Attempt("name of localhost", "socket.getaddrinfo('localhost', 80)", "allowed"),
]
