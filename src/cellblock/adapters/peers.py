"""Whose socket is at the other end of a loopback connection, by the kernel's own tables.

sock_diag(7) answers for one connection in 20 µs; where it is refused, /proc/net/tcp has the same facts, but walking it
costs milliseconds. A socket that its process has closed has inode 0 and, on many kernels, uid 0: it is nobody's.
"""

import errno
import ipaddress
import os
import socket
import struct
from pathlib import Path
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

TABLES = {4: Path("/proc/net/tcp"), 6: Path("/proc/net/tcp6")}
ESTABLISHED = 1
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLM_F_REQUEST = 1


def is_loopback(host: str) -> bool:
    """Whether an address is loopback, mapped IPv4 included."""
    try:
        return plain(host).is_loopback
    except ValueError:
        return False


def plain(host: str) -> IP:
    """The address, a mapped IPv4 one as IPv4. ValueError when it is none."""
    address = ipaddress.ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def owner_of(peer: Address, ours: Address) -> int | None:
    """The uid that holds the live socket `peer` connected to `ours`, or None when it cannot be told."""
    try:
        near, far = (plain(peer[0]), peer[1]), (plain(ours[0]), ours[1])
    except ValueError:
        return None
    if near[0].version != far[0].version:
        return None
    try:
        return by_diag(near, far)
    except OSError:
        return by_table(near, far)


def by_diag(near: tuple[IP, int], far: tuple[IP, int]) -> int | None:
    """Asks sock_diag for the one socket; OSError where this host does not answer such questions."""
    asked = struct.pack("!HH", near[1], far[1])
    addresses = near[0].packed.ljust(16, b"\0") + far[0].packed.ljust(16, b"\0")
    family = socket.AF_INET if near[0].version == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
    body += asked + addresses + struct.pack("=I", 0) + b"\xff" * 8
    header = struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as link:
        link.send(header + body)
        reply = link.recv(4096, socket.MSG_DONTWAIT)
    return parse_diag(reply, asked)


def parse_diag(reply: bytes, asked: bytes) -> int | None:
    """The uid in a reply (struct inet_diag_msg) about the ports `asked`; None when there is no such live socket."""
    if struct.unpack_from("=H", reply, 4)[0] == NLMSG_ERROR:
        code = -struct.unpack_from("=i", reply, 16)[0]
        if code == errno.ENOENT:
            return None
        raise OSError(code, os.strerror(code))
    state, ports = reply[17], reply[20:24]
    uid, inode = struct.unpack_from("=II", reply, 16 + 64)
    return int(uid) if state == ESTABLISHED and ports == asked and inode else None


def by_table(near: tuple[IP, int], far: tuple[IP, int]) -> int | None:
    """Looks the socket up in /proc/net/tcp and tcp6, where a mapped IPv4 socket may stand."""
    for version, path in TABLES.items():
        if version < near[0].version:
            continue
        try:
            table = path.read_text("ascii")
        except OSError:
            continue
        uid = find_uid(table, encode(near, version), encode(far, version))
        if uid is not None:
            return uid
    return None


def encode(address: tuple[IP, int], version: int) -> str:
    """An address as the table of that version has it: hexadecimal words in host byte order (proc(5))."""
    packed = address[0].packed
    if version == 6 and len(packed) == 4:
        packed = b"\0" * 10 + b"\xff\xff" + packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"


def find_uid(table: str, local: str, remote: str) -> int | None:
    """The uid of the live socket between two addresses in a table's text."""
    start = table.find(f": {local} {remote} {ESTABLISHED:02X} ")
    if start < 0:
        return None
    row = table[start : table.find("\n", start)].split()
    uid, inode = int(row[7]), row[9]
    return uid if inode != "0" else None
