"""How long a stage took: one clock, shared by a process and what it forks."""

import time


def milliseconds(began: float, ended: float | None = None) -> float:
    """From one reading of the performance counter to another, or to now."""
    return round(((ended or time.perf_counter()) - began) * 1e3, 2)
