"""A kernel that is a program of its own: started in the closed sandbox by what would have been the kernel, and watched by it.

It finds its channels in a connection file, as any Jupyter kernel does; they are bound where ours would be.
"""

import json
import os
import signal
import subprocess
import time

from cellblock.messages import Launch

CHANNELS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}
NEEDED = ("k-1", "k-2", "k-3", "k-5")
SECONDS = 25.0  # for it to bind them; the server waits a little longer
STEP = 0.02


class NotStarted(RuntimeError):
    """Its channels are not bound; why, as a sentence for whoever wanted it."""


def started(launch: Launch, sockets: str, private: str) -> "subprocess.Popen[bytes]":
    """The program, once its channels are bound. NotStarted."""
    place = f"{private}/connection.json"
    with open(place, "w") as file:
        json.dump(connection(launch, sockets), file)
    command = [word.replace("{connection_file}", place) for word in launch.command]
    environment = {**os.environ, **dict(launch.variables)}
    signal.pthread_sigmask(
        signal.SIG_SETMASK, ()
    )  # what is blocked or ignored here would be there, and in all it starts
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)  # noqa: S603
    except OSError as problem:
        raise NotStarted(f"{command[0]} cannot be run: {problem.strerror}") from None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the program
    until = time.monotonic() + SECONDS
    while not all(os.path.exists(f"{sockets}/{name}") for name in NEEDED):
        if process.poll() is not None:
            raise NotStarted(f"{command[0]} ended with {process.returncode} before its channels were bound")
        if time.monotonic() > until:
            raise NotStarted(f"{command[0]} did not bind its channels within {SECONDS:g} s")
        time.sleep(STEP)
    return process


def connection(launch: Launch, sockets: str) -> dict[str, object]:
    """The content of its connection file."""
    return {
        "transport": "ipc",
        "ip": f"{sockets}/k",
        **CHANNELS,
        "key": launch.key,
        "signature_scheme": "hmac-sha256",
    }


def outlived(process: "subprocess.Popen[bytes]") -> int:
    """Its exit status, when it has ended; a signal that ended it ends us too."""
    status = process.wait()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
    return status
