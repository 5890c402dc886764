"""Log lines tell what happened, and neither code nor tokens; a log nobody reads stops nothing."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, structlog
from cellblock.logs import configure
configure(sys.argv[1])
log = structlog.get_logger("cellblock.test")
log.info("execution", status="ok", run_ms=1.5)
def fails(token):
    raise RuntimeError("broken")
try:
    fails("s3" + "cret")
except RuntimeError:
    log.exception("request_failed")
    logging.getLogger("uvicorn.error").exception("from a library")
logging.getLogger("uvicorn.error").info("not worth a line")
sys.stderr.flush()
if len(sys.argv) > 2:
    sys.stderr.close()
    log.info("to nobody")
    logging.getLogger("uvicorn.error").error("to nobody")
print("went on")
"""


def said(*arguments: str) -> tuple[str, str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_lines_for_machines_are_json() -> None:
    lines = [json.loads(line) for line in said("json")[1].splitlines()]
    assert [line["event"] for line in lines] == ["execution", "request_failed", "from a library"]
    assert (lines[0]["status"], lines[0]["level"]) == ("ok", "info")
    assert lines[0]["timestamp"].endswith("Z")
    assert lines[1]["exception"][0]["exc_value"] == "broken"


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_line_holds_what_variables_hold(style: str) -> None:
    text = said(style)[1]
    assert "request_failed" in text
    assert "RuntimeError" in text
    assert "s3cret" not in text


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_closed_log_stops_nothing(style: str) -> None:
    assert said(style, "close")[0] == "went on\n"
