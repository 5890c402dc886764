"""Environments of real clients, each with its own packages: made once in `.clients/`, and anew when its pins change.

`python tests/clients/environments.py NAME…` makes them beforehand.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
MADE = CHECKOUT / ".clients"


def python_of(name: str) -> Path:
    """The interpreter of a client's environment, which is made if it is not there."""
    pins = HERE / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = MADE / f"{name}-{digest}"
    MADE.mkdir(exist_ok=True)
    with (MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "made").exists():
            make(place, pins)
    return place / "bin" / "python"


def make(place: Path, pins: Path) -> None:
    """A new environment in the place of any older one of the same client."""
    for old in MADE.glob(f"{pins.stem}-*"):
        shutil.rmtree(old)
    uv = Path(sys.executable).with_name("uv")
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True, env=environment)
    command = [uv, "pip", "install", "--quiet", "--python", place / "bin/python", "-r", pins]
    subprocess.run(command, check=True, env=environment)
    (place / "made").touch()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(python_of(name))
