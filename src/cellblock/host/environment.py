"""What kernels are made of: an interpreter and what is imported beforehand, or a program of another kind."""

import sys
from dataclasses import dataclass

PRELOAD = ("numpy", "pandas", "matplotlib.pyplot")


@dataclass(frozen=True)
class Environment:
    """An interpreter and what its fork server imports beforehand. `python`: a path; it must have ipykernel."""

    name: str = "python3"
    python: str = sys.executable
    preload: tuple[str, ...] = PRELOAD
    display_name: str = "Python 3"
    spec: "Spec | None" = None


@dataclass(frozen=True)
class Spec:
    """A kernelspec that is no environment: a program, run in a sandbox of the default environment's fork server.

    `variables`: [(name, value)]; `resources`: the directory it was found in.
    """

    command: tuple[str, ...]
    language: str
    resources: str
    variables: tuple[tuple[str, str], ...] = ()
