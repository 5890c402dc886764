"""`python -m bench [SECTION…]`: measures, shows each figure beside its goal, and keeps all of it as JSON."""

import argparse
import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from bench import burst, churn, flood, gateway, neighbours, roundtrip, scale, starting, streaming, travel, weight
from bench.figures import Figure, Size, show

Section = Callable[[Size], list[Figure]]
SHORT: dict[str, Section] = {
    "start": starting.measure,
    "roundtrip": roundtrip.measure,
    "stream": streaming.measure,
    "gateway": gateway.measure,
    "flood": flood.measure,
    "neighbours": neighbours.measure,
    "memory": weight.measure,
    "burst": burst.measure,
}
LONG: dict[str, Section] = {"churn": churn.measure, "scale": scale.measure, "travel": travel.measure}
RESULTS = Path(__file__).parent / "results"


def arguments() -> tuple[list[str], Size]:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"{', '.join(SHORT | LONG)}; default: the short")
    for size in dataclasses.fields(Size):
        parser.add_argument(f"--{size.name}", type=type(size.default), default=size.default)
    given = vars(parser.parse_args())
    sections = given.pop("sections") or list(SHORT)
    if unknown := set(sections) - set(SHORT | LONG):
        parser.error(f"no section {', '.join(sorted(unknown))}")
    return sections, Size(**given)


def machine() -> dict[str, object]:
    """Where it was measured, and how busy that was before."""
    return {
        "cores": os.cpu_count(),
        "linux": platform.release(),
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def main() -> None:
    sections, size = arguments()
    kept: dict[str, object] = {"machine": machine(), "size": dataclasses.asdict(size)}
    print(kept["machine"])
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    for name in sections:
        began, load = time.monotonic(), os.getloadavg()
        figures = (SHORT | LONG)[name](size)
        print(f"\n{name} ({time.monotonic() - began:.0f} s, load before {load[0]:.1f})")
        show(figures)
        kept[name] = {"load": load, "figures": [dataclasses.asdict(figure) for figure in figures]}
        path.write_text(json.dumps(kept, indent=1))
    print(f"\nall figures: {path}")


if __name__ == "__main__":
    main()
