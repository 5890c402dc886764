"""The commands, as a person runs them."""

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from cellblock import __version__, cli, settings
from cellblock.cli import checking, script
from cellblock.errors import ConfigurationError
from templates import begun

COMMAND = Path(sys.executable).parent / "cellblock"


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CELLBLOCK_")}
    return {**kept, "CELLBLOCK_DATA_DIR": str(data_dir), "CELLBLOCK_PORT": "0", **more}


@contextmanager
def serving(data_dir: Path, *options: str, **more: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A server process and its banner."""
    with subprocess.Popen(
        [COMMAND, "serve", *options],
        env=environment(data_dir, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            banner = [process.stdout.readline(), process.stdout.readline()]
            assert banner[0], process.stderr.read()
            yield process, banner
        finally:
            process.terminate()


def test_a_server_may_open_as_much_as_its_process_may(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, _):
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        process.send_signal(signal.SIGTERM)
        process.wait()
    (found,) = re.findall(r"Max open files +(\d+) +(\d+)", limits)
    assert found[0] == found[1]


def test_the_port_that_wants_no_token_is_on_loopback_wherever_the_other_is(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"CELLBLOCK_TOKEN": "open-sesame", "CELLBLOCK_JUPYTER_PORT": str(port)}
    with serving(tmp_path, "--host=0.0.0.0", **given) as (_, banner):
        found = re.search(r":(\d+)", banner[0])
        assert found
        for address in (("127.0.0.1", int(found[1])), ("127.0.0.2", int(found[1])), ("127.0.0.1", port)):
            socket.create_connection(address, 10).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 10)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets logging up for its process, which here is everybody's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data directory of the test's own, whose environment preloads nothing: kernels are ready sooner."""
    begun(tmp_path)
    (tmp_path / "environments.toml").write_text(f'[python3]\npython = "{sys.executable}"\npreload = []\n')
    monkeypatch.setenv("CELLBLOCK_DATA_DIR", str(tmp_path))


def run(*arguments: object, **more: str) -> Result:
    """A command that ends by itself, in this process."""
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments], env=more)


def test_serve_says_where_it_is_in_two_lines(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, banner):
        found = re.fullmatch(rf"Cellblock {__version__} is at (http://localhost:\d+/)\?token=[\w-]{{32}}\n", banner[0])
        assert found
        assert str(tmp_path) in banner[1]
        with urllib.request.urlopen(found[1] + "healthz") as answer:
            assert json.load(answer) == {"status": "ok"}
        process.terminate()
        assert process.wait(90) == 0


def test_a_stop_ends_open_streams_and_then_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, banner):
        url = banner[0].split(" is at ")[1].split("?")[0]
        with urllib.request.urlopen(urllib.request.Request(url + "api/jupyter/kernel", method="POST")) as answer:
            kernel = json.load(answer)["id"]
        with urllib.request.urlopen(f"{url}api/jupyter/kernel/{kernel}/events") as stream:
            assert stream.readline().startswith(b"id: ")
            process.send_signal(signal.SIGINT)
            stream.read()  # ends, rather than be cut
        assert process.wait(90) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def asked(url: str, path: str, **body: object) -> Any:
    """The JSON that a POST is answered with."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_kernels_outlive_a_stop_that_keeps_them_and_a_crash(tmp_path: Path) -> None:
    with serving(tmp_path, "--keep-kernels") as (process, banner):
        url = banner[0].split(" is at ")[1].split("?")[0]
        kernel = asked(url, "api/jupyter/kernel")["id"]
        asked(url, "api/jupyter/execute", kernel_id=kernel, code="x = 1")
        process.terminate()
        assert process.wait(90) == 0
    with serving(tmp_path) as (process, banner):
        url = banner[0].split(" is at ")[1].split("?")[0]
        assert asked(url, "api/jupyter/execute", kernel_id=kernel, code="x += 1")["status"] == "ok"
        process.kill()
    with serving(tmp_path) as (process, banner):
        url = banner[0].split(" is at ")[1].split("?")[0]
        result = asked(url, "api/jupyter/execute", kernel_id=kernel, code="print(x)")
        assert (result["outputs"][0]["text"], result["notice"]) == ("2\n", None)
        process.terminate()
        assert process.wait(90) == 0
    assert list((tmp_path / "forkservers").iterdir()) == []


def test_a_given_token_is_asked_for_and_not_printed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    with serving(tmp_path, "--token-file", str(tmp_path / "token"), "--loopback-trust", "0") as (_, banner):
        assert "from-a-file" not in "".join(banner)
        url = banner[0].split(" is at ")[1].strip() + "api/status"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url)
        with urllib.request.urlopen(f"{url}?token=from-a-file") as answer:
            assert json.load(answer)["version"] == __version__


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    assert done.exit_code == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_port_for_jupyter_that_is_taken_names_its_own_setting(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", 0, "--jupyter-port", taken.getsockname()[1])
    assert done.exit_code == 1
    assert "--jupyter-port" in done.stderr


def test_an_address_that_is_not_this_machines_names_the_setting_of_addresses() -> None:
    done = run("serve", "--host", "192.0.2.1", "--port", 0)  # of a network for examples
    assert done.exit_code == 1
    assert ("--host" in done.stderr, "--port" in done.stderr) == (True, False)


def test_a_data_directory_in_use_is_told_in_a_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, _):
        done = run("serve", "--port", 0)
        assert done.exit_code == 1
        assert str(process.pid) in done.stderr
        assert "Traceback" not in done.stderr


def test_an_unknown_variable_is_told_at_start(tmp_path: Path) -> None:
    with serving(tmp_path, CELLBLOCK_MEMORYLIMIT="1GiB") as (process, _):
        process.terminate()
        assert process.stderr is not None
        assert "Did you mean CELLBLOCK_MEMORY_LIMIT?" in process.stderr.read()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--port", "http"), "CELLBLOCK_PORT: "),
        (("--memory-limit", "much"), "CELLBLOCK_MEMORY_LIMIT: "),
        (("--token-file", "/nowhere"), "The token file cannot be read"),
    ],
)
def test_a_bad_setting_is_told_in_a_sentence(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = run("serve", *options)
    assert (done.exit_code, "Traceback" in done.stderr) == (1, False)
    assert said in done.stderr


def test_every_setting_that_is_no_secret_is_an_option() -> None:
    said = run("serve", "--help", COLUMNS="200").stdout
    assert "--max-timeout" in said
    assert "--data-dir" in said
    assert "api-key" not in said


def test_check_tells_each_layer_and_what_to_do(tmp_path: Path) -> None:
    done = run("check", CELLBLOCK_SANDBOX="auto")
    machine = json.loads(run("check", "--json").stdout)
    assert done.exit_code == (0 if machine["ok"] else 1)
    for layer in machine["layers"]:
        assert layer["name"] in done.stdout
    assert f"Sandbox level here: {machine['level']}" in done.stdout


def test_check_tells_which_environments_cannot_be_had(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text("#!/bin/sh\necho hello\n")
    odd.chmod(0o755)
    pythons = {"own": sys.executable, "gone": "/nowhere/python", "odd": str(odd)}
    table = "".join(f'[{name}]\npython = "{python}"\n' for name, python in pythons.items())
    (tmp_path / "environments.toml").write_text(table)
    done = run("check", "--data-dir", str(tmp_path))
    assert done.exit_code == 1
    assert re.search(r"^yes +environment own +ipykernel \d", done.stdout, re.MULTILINE)
    assert re.search(r"^no +environment gone +/nowhere/python cannot be run", done.stdout, re.MULTILINE)
    assert re.search(r"^no +environment odd .*does not run Python\n.*→ correct \[odd\]", done.stdout, re.MULTILINE)


def test_a_missing_layer_is_told_with_its_remedy() -> None:
    layer = {"name": "landlock", "ok": False, "detail": "not built in", "remedy": "boot with lsm=landlock"}
    text = checking.report({"level": "unprivileged", "layers": [layer]}, "full")
    assert re.search(r"^no +landlock +not built in$", text, re.MULTILINE)
    assert "→ boot with lsm=landlock" in text
    assert "Kernels will not start" in text


@pytest.mark.parametrize(
    ("wanted", "offered", "good"),
    [
        ("auto", "full", True),
        ("auto", "unprivileged", True),
        ("auto", None, False),
        ("full", "unprivileged", False),
        ("unprivileged", "full", True),
        ("off", None, True),
    ],
)
def test_a_level_suffices_when_it_is_what_the_setting_demands(wanted: str, offered: str | None, good: bool) -> None:
    assert checking.sufficient(wanted, offered) is good


def test_run_prints_outputs_and_ends_well(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("# %%\nx = 20\n# %% [markdown]\n# words (\n# %%\nprint('sum', x + 1)\nx\n")
    done = run("run", file)
    assert (done.exit_code, done.stdout) == (0, "sum 21\n20\n"), done.stderr


def test_run_stops_at_the_first_error(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text("# %%\nprint('before')\n1/0\n# %%\nprint('after')\n")
    done = run("run", file)
    assert (done.exit_code, done.stdout) == (1, "before\n")
    assert "ZeroDivisionError" in done.stderr


EXITS = (("sys.exit()", 0), ("sys.exit(0)", 0), ("sys.exit('no')", 1))


@pytest.mark.parametrize(
    ("leaving", "code"),
    [("sys.exit(3)", 3), *(pytest.param(*each, marks=pytest.mark.slow) for each in EXITS)],
)
def test_run_ends_as_the_script_asks(tmp_path: Path, leaving: str, code: int) -> None:
    file = tmp_path / "script.py"
    file.write_text(f"# %%\nimport sys\nprint('before')\n{leaving}\n# %%\nprint('after')\n")
    done = run("run", file)
    assert (done.exit_code, done.stdout) == (code, "before\n")


def test_run_executes_a_notebook_with_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("41")
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("int(open('data.txt').read()) + 1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done = run("run", tmp_path / "in.ipynb", "--file", tmp_path / "data.txt")
    assert (done.exit_code, done.stdout) == (0, "42\n"), done.stderr
    executed = nbformat.read(tmp_path / "in.out.ipynb", as_version=4)
    nbformat.validate(executed)
    assert executed.cells[1].outputs[0].data["text/plain"] == "42"


def test_run_ends_a_cell_that_takes_too_long(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("while True: pass")
    done = run("run", tmp_path / "slow.py", "--timeout", "0.5")
    assert done.exit_code == 1
    assert "timeout" in done.stderr


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)]
)
def test_run_that_is_ended_writes_what_has_run_and_leaves_nothing(tmp_path: Path, sent: int, code: int) -> None:
    cells = [nbformat.v4.new_code_cell("print('begun')"), nbformat.v4.new_code_cell("print('on')\nwhile True: pass")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    (tmp_path / "tmp").mkdir()
    with subprocess.Popen(
        [COMMAND, "run", tmp_path / "in.ipynb"],
        env=environment(tmp_path, TMPDIR=str(tmp_path / "tmp")),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, sent, signal.SIG_DFL),  # ignored by what a shell starts in the background
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["begun\n", "on\n"]
        process.send_signal(sent)
        assert process.wait(60) == code
    assert list((tmp_path / "tmp").iterdir()) == []
    executed = nbformat.read(tmp_path / "in.out.ipynb", as_version=4)
    assert [cell.outputs[0].text for cell in executed.cells] == ["begun\n", "on\n"]


@pytest.mark.parametrize(
    ("name", "text"), [("missing.py", None), ("a.txt", "1"), ("broken.ipynb", "{"), ("x.ipynb", "{}")]
)
def test_run_tells_what_is_wrong_with_a_file(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    done = run("run", tmp_path / name)
    assert done.exit_code == 1
    assert done.stderr.startswith("cellblock: ")
    assert "Traceback" not in done.stderr


def test_run_tells_of_a_bad_timeout_without_a_word_about_http(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    done = run("run", tmp_path / "one.py", "--timeout", "0")
    assert done.stderr == "cellblock: A timeout is more than 0 and at most 60 seconds.\n"


@pytest.mark.parametrize("place", ["nowhere/out.ipynb", "."])
def test_run_tells_where_it_cannot_write(tmp_path: Path, place: str) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), tmp_path / "in.ipynb")
    done = run("run", tmp_path / "in.ipynb", "--output", tmp_path / place)
    assert done.exit_code == 1
    assert done.stderr.startswith("cellblock: ")
    assert "cannot be written" in done.stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("\x1b[31mred\x1b[0m\t10%\r20%\x1b[K\x1b[2A\b\n", None),
        ("\x1b]52;c;cm0gLXJm\x07", "]52;c;cm0gLXJm"),  # fills the clipboard
        ("\x1b]0;title\x1b\\", "]0;title\\"),
        ("\x1b[?1049h\x1bP+q\x9b5n\x1b[6n", "[?1049hP+q5n[6n"),
    ],
)
def test_code_commands_nobodys_terminal(said: str, shown: str | None) -> None:
    terminal, file = Terminal(), io.StringIO()
    script.say(said, terminal, end="")
    script.say(said, file, end="")
    assert terminal.getvalue() == (said if shown is None else shown)
    assert file.getvalue() == said


def test_a_script_is_divided_at_its_marks() -> None:
    text = "a = 1\n# %% one\nb\n\n# %% [markdown]\n# text\n# %%\n\n"
    assert [code for _, code in script.divided(text)] == ["a = 1\n", "# %% one\nb\n\n", "# %%\n\n"]


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"{__version__}\n"


def test_on_other_systems_kernels_have_to_come_from_elsewhere() -> None:
    with pytest.raises(ConfigurationError, match="Linux only") as told:
        cli.able(settings.load(), "darwin")
    assert "JUPYTER_KERNEL_GATEWAY_URL" in told.value.hint
    cli.able(settings.load(remote_servers="http://127.0.0.1:8888"), "darwin")
    cli.able(settings.load(), "linux")


def test_check_says_of_each_server_whether_it_answers(tmp_path: Path) -> None:
    given = environment(tmp_path, JUPYTER_KERNEL_GATEWAY_URL="http://127.0.0.1:9/?token=s3cret")
    done = subprocess.run([COMMAND, "check"], capture_output=True, text=True, env=given, timeout=200)
    assert done.returncode == 1
    assert re.search(r"^no +server 127\.0\.0\.1:9 +it cannot be connected to$", done.stdout, re.MULTILINE)
    assert "s3cret" not in done.stdout + done.stderr
