"""What a template has found out at its first start: servers of tests begin with it, as one does whose data directory is there.

Completion reads the stubs of Python's own names, which takes a second and a half, and of pandas; what comes of it lasts in the
data directory, and a test has a new one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = Path(sys.prefix, "share", "cellblock-tests", "jedi")
FIND = """
import sys, jedi
jedi.settings.cache_directory = sys.argv[1]
names = {}
try:
    import pandas as pd
    names = {"pd": pd, "df": pd.DataFrame({"a": [1.0], "b": ["a"]})}
except ImportError:
    pass
for code in ("pri", "pd.read_cs", "df.grou"):
    jedi.Interpreter(code, [names]).complete()
"""


def begun(data: Path, environment: str = "python3") -> Path:
    """The data directory of a server to come, as an earlier one has left it as far as its template goes."""
    template = data / ".template" / environment
    if not template.exists() and found():
        for place in (data, template.parent, template):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(FOUND, template / ".cache" / "jedi")
    return data


def found() -> bool:
    """Whether it is there; who may write beside this interpreter finds it out, once."""
    if not FOUND.exists() and os.access(sys.prefix, os.W_OK):
        FOUND.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOUND.parent) as place:
            subprocess.run([sys.executable, "-c", FIND, f"{place}/jedi"], check=True)
            subprocess.run(["chmod", "-R", "a+rX", f"{place}/jedi"], check=True)
            try:
                os.rename(f"{place}/jedi", FOUND)
            except OSError:  # somebody else has found it meanwhile
                pass
    return FOUND.exists()


if __name__ == "__main__":
    found()
