"""Kernelspecs that are no environments: another language's kernel, found as Jupyter finds it and run in the same sandbox."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import Live, bare, living
from talking import kinds, talking, text

from cellblock.host import kernelspecs

BASH = {
    "argv": ["python", "-m", "bash_kernel", "-f", "{connection_file}"],
    "display_name": "Bash",
    "language": "bash",
    "env": {"GREETING": "from the kernelspec"},
}
WHY = f"{sys.executable} ended with 7 before its channels were bound"
BROKEN = {"argv": ["python", "-c", "raise SystemExit(7)"], "display_name": "Broken", "language": "none"}


def install(place: Path, name: str, spec: Any) -> None:
    directory = place / "kernels" / name
    directory.mkdir(parents=True)
    (directory / "kernel.json").write_text(spec if isinstance(spec, str) else json.dumps(spec))


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server on a host that has a kernel for bash, and a broken one."""
    place = tmp_path_factory.mktemp("jupyter")
    install(place, "bash", BASH)
    install(place, "broken", BROKEN)
    (place / "kernels/bash/logo-64x64.png").write_bytes(b"\x89PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(place))
        with living(bare(tmp_path_factory.mktemp("polyglot"))) as live:
            yield live


@pytest.fixture
def bash(polyglot: Live) -> Iterator[str]:
    id: str = polyglot.post("/api/kernels", json={"name": "bash"}).json()["id"]
    yield id
    polyglot.delete(f"/api/jupyter/kernel/{id}")


def test_it_is_listed_as_any_other(polyglot: Live) -> None:
    specs = polyglot.get("/api/kernelspecs").json()
    assert specs["default"] == "python3"
    spec = specs["kernelspecs"]["bash"]
    assert (spec["spec"]["display_name"], spec["spec"]["language"]) == ("Bash", "bash")
    assert polyglot.get(spec["resources"]["logo-64x64"]).content == b"\x89PNG"
    assert polyglot.get("/kernelspecs/bash/kernel.json").status_code == 404


def test_it_runs_in_the_same_sandbox_and_its_cells_are_in_the_notebook(polyglot: Live, bash: str) -> None:
    polyglot.put(f"/api/jupyter/kernel/{bash}/files/a.txt", content=b"from outside\n")
    with talking(polyglot, bash) as talk:
        assert talk.ask("kernel_info_request", {})["language_info"]["name"] == "bash"
        heard = talk.run("x=5; cat a.txt; pwd; id -u; echo $GREETING; echo written > b.txt")
        assert kinds(heard)[:2] == ["busy", "execute_input"]
        assert text(heard).split("\n") == ["from outside", "/workspace", "1000", "from the kernelspec", ""]
        assert text(talk.run("echo $x; ls /root /home 2>&1 | grep -c data")).split() == ["5", "0"]
        assert "Connection refused" in text(talk.run(f"(exec 3<>/dev/tcp/127.0.0.1/{polyglot.port}) 2>&1"))
    assert polyglot.get(f"/api/jupyter/kernel/{bash}/files/b.txt").text == "written\n"
    cells = polyglot.get(f"/api/jupyter/kernel/{bash}/notebook").json()["cells"]
    assert (cells[0]["source"][:4], cells[0]["status"]) == ("x=5;", "ok")
    view = polyglot.get(f"/api/jupyter/kernel/{bash}").json()
    assert (view["environment"], view["sandbox"]) == ("bash", "full")
    assert polyglot.get(f"/api/jupyter/kernel/{bash}/variables").json() == []
    assert polyglot.get(f"/api/jupyter/kernel/{bash}/variables/x").status_code == 404


def test_its_notebook_is_exported_in_its_own_language(polyglot: Live, bash: str) -> None:
    polyglot.post("/api/jupyter/execute", json={"code": "echo $((6 * 7))", "kernel_id": bash})
    where = f"/api/jupyter/kernel/{bash}/notebook"
    metadata = polyglot.get(where, params={"format": "ipynb"}).json()["metadata"]
    assert metadata["kernelspec"] == {"name": "bash", "display_name": "Bash", "language": "bash"}
    info = metadata["language_info"]
    assert (info["name"], info["file_extension"], info["mimetype"]) == ("bash", ".sh", "text/x-sh")
    assert "```bash\necho $((6 * 7))\n```" in polyglot.get(where, params={"format": "md"}).text


def test_it_is_run_interrupted_and_restarted_by_every_door(polyglot: Live, bash: str) -> None:
    result = polyglot.post("/api/jupyter/execute", json={"code": "echo $((6 * 7))", "kernel_id": bash}).json()
    assert (result["status"], result["outputs"][0]["text"]) == ("ok", "42\n")
    slow = polyglot.post("/api/jupyter/execute", json={"code": "sleep 100", "kernel_id": bash, "timeout": 0.5}).json()
    assert (slow["status"], slow["kernel_state"]) == ("timeout", "kept")
    with talking(polyglot, bash) as talk:
        # One program prints and sleeps, so that it is in the foreground by then: between two commands bash misses an interrupt.
        id = talk.execute("bash -c 'echo on; exec sleep 100'")
        talk.until(lambda said: said["msg_type"] == "stream")
        assert talk.ask("interrupt_request", {}, "control") == {"status": "ok"}
        reply = next(said for said in talk.answers(id) if said["channel"] == "shell")
        assert reply["content"]["status"] == "abort"
    assert polyglot.post(f"/api/kernels/{bash}/restart").status_code == 200
    with talking(polyglot, bash) as talk:
        assert text(talk.run("echo again")) == "again\n"


def test_its_death_is_told(polyglot: Live, bash: str) -> None:
    with talking(polyglot, bash) as talk:
        talk.run("echo here")
        heard = talk.run("kill -9 $PPID")
        assert kinds(heard)[-1] == "idle"
        assert "kernel_died" in [said["content"].get("ename") for said in heard]
        assert text(talk.run("echo back")) == "back\n"


def test_one_that_does_not_start_says_why(polyglot: Live) -> None:
    made = polyglot.post("/api/kernels", json={"name": "broken"})
    id = made.json()["id"]
    result = polyglot.post("/api/jupyter/execute", json={"code": "1", "kernel_id": id}).json()
    assert (result["status"], result["kernel_state"]) == ("kernel_died", "lost")
    assert result["error"]["evalue"].endswith("failed: " + WHY)
    assert "Traceback" not in json.dumps(result)


@pytest.mark.parametrize(
    "spec",
    [
        "{",
        "[]",
        "{}",
        {"argv": []},
        {"argv": ["no-such-program-anywhere"]},
        {"argv": [1]},
        {"argv": "python"},
        {"argv": ["python"], "env": {"A": 1}},
        {"argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]},
        '{"argv": ["python"], "x": "' + "x" * 100_000 + '"}',
        "[" * 60_000,
    ],
)
def test_what_is_no_kernelspec_is_left_out(tmp_path: Path, spec: Any) -> None:
    install(tmp_path, "odd", spec)
    assert "odd" not in [each.name for each in kernelspecs.installed({"JUPYTER_PATH": str(tmp_path)})]


def test_names_and_programs_are_read_as_jupyter_reads_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    install(first, "Mine", {"argv": ["python3", "x"], "display_name": "First"})
    install(second, "mine", {"argv": ["sh"], "display_name": "Second"})
    install(second, "bad name", {"argv": ["sh"]})
    found = {each.name: each for each in kernelspecs.installed({"JUPYTER_PATH": f"{first}:{second}"})}
    assert found["mine"].display_name == "First"
    assert found["mine"].spec
    assert found["mine"].spec.command == (sys.executable, "x")
    assert "bad name" not in found
