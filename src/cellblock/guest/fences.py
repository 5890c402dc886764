"""Landlock around branches: the kernel of one may not use the workspace it was branched from, nor signal who is not in the fence.

Init makes the rulesets before its own filter refuses to make any, and fills one when the first branch of a workspace asks.
"""

import os
from dataclasses import dataclass, field

from cellblock.guest import filesystem
from cellblock.guest.sandbox import Sandbox
from cellblock.messages import BRANCHES


@dataclass
class Fences:
    """`spare`: rulesets without rules; `filled`: by the workspace that they leave out. Empty where there is no Landlock."""

    spare: list[filesystem.Ruleset] = field(default_factory=list)
    filled: dict[str, int] = field(default_factory=dict)

    @classmethod
    def made(cls, box: Sandbox) -> "Fences":
        """One for each workspace that may be branched from."""
        if box.policy.level == "off":
            return cls()
        return cls([filesystem.Ruleset.made(forbid_tcp=not box.full) for _ in range(1 + len(BRANCHES))])

    def around(self, box: Sandbox, workspace: str) -> int | None:
        """The ruleset that leaves a workspace out; None at level `off`. OSError."""
        if workspace not in self.filled and self.spare:
            ruleset = self.spare.pop()
            for path, access in _rules(box, workspace).items():
                ruleset.allow(path, access)
            self.filled[workspace] = ruleset.fd
        return self.filled.get(workspace)


def _rules(box: Sandbox, workspace: str) -> dict[str, int]:
    """What a kernel may use anyway, but for that workspace."""
    if box.full:
        # Not "/" with all below it, but for names of files: each place is allowed by itself.
        rules = {f"/{name}": filesystem.READ for name in os.listdir("/") if os.path.exists(f"/{name}")}
        rules |= {**filesystem.FULL_RULES, "/": filesystem.READ_DIR}
    else:
        rules = filesystem.unprivileged_rules(box.home, box.prefixes)
    left_out = (
        workspace,
        os.path.dirname(workspace) if workspace.startswith(box.branches) else workspace,
        box.branches,
    )
    return {path: access for path, access in rules.items() if path not in left_out}
