"""The build hook: a wheel and a source archive carry the built page, so installing them needs no Node."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Uses the page when it is there, builds it when npm is, and says what is missing otherwise."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if (root / "src/cellblock/static/index.html").is_file():
            return
        if shutil.which("npm") is None:
            raise RuntimeError("The page is not built and there is no npm: install Node 20, or use a release archive.")
        subprocess.run([root / "scripts/build-page"], check=True)  # noqa: S603 (our own script)
