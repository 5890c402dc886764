"""Makes the environment that ordinary users may enter: Debian's interpreter in /var/tmp. Run by the tests, and by hand.

python tests/guest/environment.py        prints the path of its interpreter
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
TEMPLATES = ROOT / "tests/templates.py"
CANDIDATES = (Path("/usr/bin/python3"), Path(sys.executable).resolve())  # the second may lie where others cannot go
PLACE = "/var/tmp/cellblock-test-env-"
PACKAGES = ("ipykernel", "numpy", "pandas", "matplotlib", "altair", "plotly", "nbformat", "pyseccomp")


def environment(packages: Sequence[str] = PACKAGES) -> Path:
    """The interpreter of the environment, made when it is not there yet. CalledProcessError when it cannot be."""
    if sys.prefix.startswith(PLACE):
        return Path(sys.executable)  # we are in one
    interpreter = next(path for path in CANDIDATES if new_enough(path))
    recipe = (
        CONSTRAINTS.read_bytes()
        + TEMPLATES.read_bytes()
        + " ".join(packages).encode()
        + os.fsencode(interpreter.resolve())
    )
    place = Path(f"{PLACE}{os.getuid()}-{hashlib.sha256(recipe).hexdigest()[:12]}")
    python = place / "bin" / "python"
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", interpreter, place], check=True)
            install = [*uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
            subprocess.run([*install, "-c", CONSTRAINTS, *packages], check=True)
            subprocess.run([python, TEMPLATES], check=True)
            subprocess.run(["chmod", "-R", "a+rX", place], check=True)
            (place / "complete").touch()
    return python


def new_enough(interpreter: Path) -> bool:
    """Whether it is there, and new enough for the packages."""
    question = "import sys; sys.exit(sys.version_info < (3, 11))"
    return interpreter.exists() and subprocess.run([interpreter, "-c", question], check=False).returncode == 0


if __name__ == "__main__":
    print(environment())
