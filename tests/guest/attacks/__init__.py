"""The catalogue of attacks: what code in a kernel tries, and what each level must answer.

An attempt is one line that runs in a kernel (`attempts.py` and the modules of the families), or a scene of several
kernels and a host that looks at what became of it (`scenes`). Every attempt says *allowed* or *blocked*, never "failed":
system calls get bad pointers and impossible arguments, so that EFAULT, EINVAL, EBADF or ESRCH mean that it got through,
and only a refusal counts as blocked. And every attempt has a control that must be allowed: the nearest permitted act, in
the same kernel; or, where none is named, the same act at level `off` as root. So what is broken cannot pass for safe.
"""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["allowed", "blocked"]


@dataclass(frozen=True)
class Attempt:
    """`code` is an expression in the kernel (see prelude.py). It is allowed when it ends, or fails with no refusal.

    `off`: the verdict where nothing is shut, as root; None where it would prove nothing or harm the host. `control`: what
    must be allowed at once, at the levels where the attempt is blocked.
    """

    name: str
    code: str
    full: Verdict = "blocked"
    unprivileged: Verdict = "blocked"
    off: Verdict | None = "allowed"
    control: str = ""
