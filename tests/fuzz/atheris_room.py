"""Lets atheris look for what breaks a room, led by coverage: `python atheris_room.py ROOM [libFuzzer's options]`."""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["cellblock"]):
    from rooms import ROOMS

from words import Words


def main() -> None:
    room = ROOMS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda data: room(Words(data)) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
