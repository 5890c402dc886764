"""Makes the environment that ordinary users may enter: Debian's interpreter in /var/tmp. Run by the tests, and by hand.

python tests/guest/environment.py        prints the path of its interpreter
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
INTERPRETER = Path("/usr/bin/python3")
PACKAGES = ("ipykernel", "numpy", "pandas", "matplotlib", "altair", "plotly", "nbformat", "pyseccomp")


def environment() -> Path:
    """The interpreter of the environment, made when it is not there yet. CalledProcessError when it cannot be."""
    recipe = CONSTRAINTS.read_bytes() + " ".join(PACKAGES).encode() + os.fsencode(INTERPRETER.resolve())
    place = Path(f"/var/tmp/cellblock-test-env-{hashlib.sha256(recipe).hexdigest()[:12]}")
    python = place / "bin" / "python"
    with open(f"{place}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            uv = [sys.executable, "-m", "uv"]
            subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", INTERPRETER, place], check=True)
            install = [*uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
            subprocess.run([*install, "-c", CONSTRAINTS, *PACKAGES], check=True)
            subprocess.run(["chmod", "-R", "a+rX", place], check=True)
            (place / "complete").touch()
    return python


if __name__ == "__main__":
    print(environment())
