"""The command line: serve, check, run. Its options are the settings table; a failure is a sentence and exit code 1."""

import asyncio
import inspect
import json
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import uvicorn
from starlette.types import ASGIApp

from cellblock import __version__, settings
from cellblock.adapters.access import OWNER
from cellblock.app import Server, config, create_app
from cellblock.errors import CellblockError, ConfigurationError, InvalidRequest
from cellblock.execution import Event
from cellblock.host.interpreter import ExecuteRequest, Interpreter
from cellblock.host.launcher import probe
from cellblock.logs import configure
from cellblock.settings import Settings

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
GRACE_S = 5
BACKLOG = 2048


def main() -> None:
    """The console script."""
    cli()


@cli.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """A self-hosted code interpreter."""
    if version:
        print(__version__)
        raise typer.Exit


@contextmanager
def one_sentence() -> Iterator[None]:
    """An error of ours as a sentence and its hint on stderr, with exit code 1."""
    try:
        yield
    except CellblockError as problem:
        print(f"cellblock: {problem.message}", *([problem.hint] if problem.hint else []), sep="\n", file=sys.stderr)
        raise typer.Exit(1) from None


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command that takes `**given` an option for each setting, the table being their only source."""
    own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            row.field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, _option(row)]
        )
        for row in settings.rows()
        if row.option
    ]
    signature = inspect.Signature([*own, *options])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return command


def _option(row: settings.Row) -> Any:
    return typer.Option(row.option, help=row.description, show_default=row.default or False, metavar=row.unit or "text")


TokenFile = Annotated[Path | None, typer.Option(help="Read the start token from this file.")]


@cli.command()
@with_settings
def serve(token_file: TokenFile = None, **given: Any) -> None:
    """Serve the page and the API."""
    with one_sentence():
        loaded = settings.load(token=_token(token_file), **given)
        configure(loaded.log_format)
        for sentence in settings.warnings():
            print(f"cellblock: {sentence}", file=sys.stderr)
        listener = listen(loaded.host, loaded.port)
        loaded = loaded.model_copy(update={"port": listener.getsockname()[1]})
        Listening(loaded).serve_on(listener)


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"The token file cannot be read: {problem}") from None
    if not token:
        raise ConfigurationError(f"The token file {path} is empty.")
    return token


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. ConfigurationError when the address cannot be had."""
    address = "127.0.0.1" if host == "localhost" else host
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(BACKLOG)  # whoever calls while the server starts is answered when it has
    except OSError as problem:
        listener.close()
        hint = "Choose another with --port or CELLBLOCK_PORT." if port else ""
        raise ConfigurationError(f"Cannot listen on {host}:{port}: {problem.strerror}.", hint=hint) from None
    return listener


class Listening(uvicorn.Server):
    """uvicorn, told to end open streams when it stops, and to say where it is."""

    def __init__(self, loaded: Settings) -> None:
        app = create_app(loaded)
        self.server: Server = app.state.server
        super().__init__(_uvicorn(app))

    def serve_on(self, listener: socket.socket) -> None:
        """Serves until SIGTERM or SIGINT; raises why it could not start."""
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when all is done: that is a clean end
        try:
            self.run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        except SystemExit:
            raise (self.server.failure or ConfigurationError("The server could not start; see the log.")) from None
        if self.server.failure:
            raise self.server.failure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for line in banner(self.server):
            print(line, flush=True)
        self.watch = asyncio.create_task(self._until_ready())

    async def _until_ready(self) -> None:
        """A server whose sandbox cannot be had says so and ends, rather than refuse every request."""
        if self.server.interpreter is None:
            return
        try:
            await self.server.interpreter.ready()
        except CellblockError as problem:
            self.server.failure = problem
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server.closing.set()
        self.watch.cancel()
        await super().shutdown(sockets)


def _uvicorn(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
    )


def banner(server: Server) -> list[str]:
    """Two lines: where the page is, and where the data is."""
    host = {"127.0.0.1": "localhost", "0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(  # noqa: S104
        server.settings.host, server.settings.host
    )
    authority = f"[{host}]:{server.settings.port}" if ":" in host else f"{host}:{server.settings.port}"
    token = "" if server.settings.token else f"?token={server.token}"
    return [
        f"Cellblock {__version__} is at http://{authority}/{token}",
        f"Its data is in {server.settings.data_dir}; Ctrl-C stops it.",
    ]


@cli.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Whose environments.toml to look at.")] = None,
) -> None:
    """Say what this host gives to shut kernels in, and how to get what is missing."""
    with one_sentence():
        loaded = settings.load(data_dir=data_dir)
        environment = settings.environments(loaded.data_dir)[0]
        found = asyncio.run(probe(environment.python))
        good = sufficient(loaded.sandbox, found["level"])
        print(json.dumps({**found, "wanted": loaded.sandbox, "ok": good}) if as_json else report(found, loaded.sandbox))
        raise typer.Exit(0 if good else 1)


def sufficient(wanted: str, offered: str | None) -> bool:
    """Whether the best level of this host is what the setting demands."""
    return wanted == "off" or offered == "full" or (offered == "unprivileged" and wanted != "full")


def report(found: Mapping[str, Any], wanted: str) -> str:
    """The probe for a person: a line for each layer, and what to do where one is missing."""
    lines = []
    for layer in found["layers"]:
        lines.append(f"{'yes' if layer['ok'] else 'no':<4} {layer['name']:<24} {layer['detail']}".rstrip())
        if not layer["ok"] and layer["remedy"]:
            lines.append(f"     {'':<24} → {layer['remedy']}")
    lines.append(f"Sandbox level here: {found['level'] or 'none'} (CELLBLOCK_SANDBOX={wanted})")
    if not sufficient(wanted, found["level"]):
        lines.append("Kernels will not start with this setting.")
    return "\n".join(lines)


@cli.command()
def run(
    file: Annotated[Path, typer.Argument(help="A .py file, cells divided by `# %%`, or an .ipynb.", dir_okay=False)],
    output: Annotated[Path | None, typer.Option(help="Where the executed notebook goes: FILE.out.ipynb.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds for each cell.")] = None,
    data: Annotated[
        list[Path] | None, typer.Option("--file", help="A file to put into the workspace; repeatable.")
    ] = None,
) -> None:
    """Run a file in a sandboxed kernel; the first error ends it with exit code 1."""
    with one_sentence():
        configure("console")
        raise typer.Exit(asyncio.run(Script(file, output, timeout, data or []).run()))


class Script:
    """A file run from the command line, in an interpreter of its own."""

    def __init__(self, file: Path, output: Path | None, timeout: float | None, data: list[Path]) -> None:
        self.file, self.timeout, self.data = file, timeout, data
        self.output = output or file.with_suffix(".out.ipynb")
        self.notebook = file.suffix == ".ipynb"

    async def run(self) -> int:
        """The exit code."""
        text = _read(self.file)
        with tempfile.TemporaryDirectory(prefix="cellblock-run-") as directory:
            given = {"max_timeout": max(self.timeout, 1.0)} if self.timeout else {}
            loaded = settings.load(data_dir=Path(directory), pool_size=0, **given)
            interpreter = await Interpreter.start(config(loaded))
            try:
                await interpreter.ready()
                return await self._run(interpreter, text)
            finally:
                await interpreter.aclose()

    async def _run(self, interpreter: Interpreter, text: str) -> int:
        id = (await interpreter.create(OWNER, title=self.file.stem))["id"]
        for path in self.data:
            await interpreter.write_file(OWNER, id, path.name, _pieces(path), size=None)
        cells = await self._import(interpreter, id, text) if self.notebook else divided(text)
        ok = await self._cells(interpreter, id, cells)
        if self.notebook:
            self.output.write_bytes((await interpreter.export(OWNER, id, "ipynb")).body)
            print(f"Written to {self.output}", file=sys.stderr)
        return 0 if ok else 1

    async def _import(self, interpreter: Interpreter, id: str, text: str) -> "Cells":
        try:
            document = json.loads(text)
        except ValueError as problem:
            raise InvalidRequest(f"{self.file} is not a notebook: {problem}", hint="") from None
        view = await interpreter.import_notebook(OWNER, id, document)
        return [(cell["id"], cell["source"]) for cell in view["cells"] if cell["type"] == "code"]

    async def _cells(self, interpreter: Interpreter, id: str, cells: "Cells") -> bool:
        for cell_id, code in cells:
            request = ExecuteRequest(code, id, cell_id, store=self.notebook, timeout=self.timeout, door="run")
            accepted = await interpreter.submit(OWNER, request)
            async for event in interpreter.events(OWNER, accepted["id"]):
                show(event, sys.stdout, sys.stderr)
            if (await interpreter.result(OWNER, accepted["id"]))["status"] != "ok":
                return False
        return True


Cells = list[tuple[str | None, str]]


def _read(path: Path) -> str:
    if path.suffix not in (".py", ".ipynb"):
        raise InvalidRequest(f"{path} is neither a .py nor an .ipynb.", hint="")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}", hint="") from None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, 1 << 20):
                yield piece
    except OSError as problem:
        raise InvalidRequest(f"{path} cannot be read: {problem}", hint="") from None


def divided(text: str) -> Cells:
    """The cells of a script: what stands between lines that begin with `# %%`; markdown cells are left out."""
    cells: list[list[str]] = [[]]
    for line in text.splitlines(keepends=True):
        if line.startswith("# %%"):
            cells.append([])
        cells[-1].append(line)
    codes = ["".join(lines) for lines in cells if not (lines and lines[0].startswith("# %% [markdown]"))]
    return [(None, code) for code in codes if code.strip()]


def show(event: Event, out: TextIO, err: TextIO) -> None:
    """An event as a person at a terminal reads it."""
    content = event["content"]
    match event["event"]:
        case "stream":
            print(content["text"], end="", file=err if content["name"] == "stderr" else out, flush=True)
        case "execute_result" | "display_data":
            print(content["data"].get("text/plain", ""), file=out, flush=True)
        case "error":
            print("\n".join(content["traceback"]), file=err, flush=True)
        case "execution_end" if content["status"] not in ("ok", "error"):
            print(f"cellblock: {content['status']}. {content['notice'] or ''}".rstrip(), file=err, flush=True)
