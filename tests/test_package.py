"""What people install: a wheel with the page inside, in a fresh environment, without Node."""

import http.client
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"
PLAIN_PATH = "/usr/bin:/bin"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", target, ROOT], check=True, cwd=ROOT)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of a fresh environment that has the wheel and nothing of this checkout."""
    home = tmp_path_factory.mktemp("installed")
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, home], check=True)
    constraints = ROOT / "constraints.txt"
    command = [UV, "pip", "install", "--quiet", "--python", home / "bin/python", "-c", constraints, wheel]
    subprocess.run(command, check=True)
    return home / "bin"


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[int]:
    """The port of a server that was started with no Node in its path."""
    env = {"PATH": PLAIN_PATH, "HOME": os.environ["HOME"], "CELLBLOCK_DATA_DIR": str(tmp_path), "CELLBLOCK_PORT": "0"}
    with subprocess.Popen(
        [installed / "cellblock", "serve"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            seen = []
            for line in process.stdout:
                seen.append(line)
                if found := re.search(r"http://[\w.]+:(\d+)", line):
                    yield int(found[1])
                    break
            else:
                pytest.fail("the server ended: " + "".join(seen))
        finally:
            process.terminate()
            process.stdout.read()


def test_the_wheel_carries_the_page_and_nothing_of_the_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "cellblock/static/index.html" in names
    assert "cellblock/static/frame.html" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/", "web/"))]


def test_a_wheel_serves_the_page_and_runs_code_without_node(served: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served, timeout=60)
    connection.request("GET", "/")
    page = connection.getresponse()
    assert (page.status, page.headers.get_content_type()) == (200, "text/html")
    assert b"/assets/" in page.read()
    body = json.dumps({"code": "import pandas\nprint('from a wheel', pandas.DataFrame({'a': [1]}).a.sum())"})
    connection.request("POST", "/api/jupyter/execute", body, {"Content-Type": "application/json"})
    result = json.loads(connection.getresponse().read())
    connection.close()
    assert result["status"] == "ok"
    assert result["outputs"][0]["text"] == "from a wheel 1\n"
