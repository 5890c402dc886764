"""One table of settings: environment variables, command-line options and docs/settings.md all come from it."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, cast

import platformdirs
from pydantic import AliasChoices, BeforeValidator, ByteSize, Field, PlainSerializer, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cellblock.errors import ConfigurationError
from cellblock.host import kernelspecs
from cellblock.host.config import Config
from cellblock.host.launcher import Environment
from cellblock.host.policy import CodeRules
from cellblock.host.servers import JupyterServer, Remote, server_at

PREFIX = "CELLBLOCK_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _words(value: object) -> object:
    """`a, b c` as a tuple of words; anything that is not text stays as it is."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words), PlainSerializer(" ".join)]
Bytes = Annotated[ByteSize, PlainSerializer(lambda size: size.human_readable().replace(".0", ""), return_type=str)]


def _setting(default: Any, what: str, unit: str = "", *, env: tuple[str, ...] = (), **limits: Any) -> Any:
    """A row of the table. `env`: names of its own, used beside `CELLBLOCK_*` because others already honour them."""
    return Field(default, description=what, json_schema_extra={"unit": unit, "env": list(env)}, **limits)


def _foreign(field: str, what: str, *env: str) -> Any:
    names = AliasChoices(f"{PREFIX}{field}".lower(), *(name.lower() for name in env))
    return _setting(None, what, env=env, validation_alias=names)


class Settings(BaseSettings):
    """Every setting of the server. Values are checked here; `ConfigurationError` comes from `load`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        allow_inf_nan=False,
    )

    host: str = _setting("127.0.0.1", "Address to listen on. Anything but loopback demands the token of every request.")
    port: int = _setting(3000, "Port to listen on; 0 takes a free one.", ge=0, le=65535)
    jupyter_port: int | None = _setting(
        None,
        "A second port, on loopback, where Jupyter's API alone answers, and without a token: for clients that know none. "
        "Whoever can connect to it can run code.",
        ge=1,
        le=65535,
    )
    data_dir: Path = _setting(
        Path(platformdirs.user_data_dir("cellblock")), "Where sessions, notebooks, files and `environments.toml` live."
    )
    token: SecretStr | None = _setting(
        None,
        "The start token; without it one is generated and printed. Never a command-line option: use `--token-file`.",
    )
    loopback_trust: bool = _setting(
        True, "Let in requests without a token that come over loopback from a socket of the server's own user."
    )
    allowed_hosts: Words = _setting(
        (), "More names the server is called by, `name` or `name:port`, as behind a reverse proxy.", "list"
    )
    sandbox: Literal["auto", "full", "unprivileged", "off"] = _setting(
        "auto", "Sandbox level. `auto` takes the best the host offers, never below `unprivileged`; `off` is no sandbox."
    )
    pool_size: int = _setting(
        2,
        "Warm kernels kept ready at all times; with 0 there are none, and every kernel is forked.",
        "kernels",
        ge=0,
        le=64,
    )
    pool_max: int = _setting(
        8,
        "Most warm kernels: where many sessions begin, as many are kept ready as lately were taken.",
        "kernels",
        ge=0,
        le=256,
    )
    kernels_per_owner: int = _setting(20, "Live kernels one owner may have.", "kernels", ge=1)
    idle_timeout: float = _setting(
        1800, "An idle kernel is released after this time; notebook and files stay.", "s", gt=0
    )
    keep_kernels: bool = _setting(
        False,
        "Kernels outlive a stop of the server, as they outlive a crash: started again in time, it goes on with them.",
    )
    reattach_timeout: float = _setting(
        60, "Kernels whose server has gone wait this long for another one on the same data directory.", "s", ge=0
    )
    max_timeout: float = _setting(
        60, "Most an execution may run, and what it gets when it names no timeout.", "s", gt=0
    )
    grace: float = _setting(2, "From the interrupt of an execution out of time until its kernel is killed.", "s", gt=0)
    stdin_timeout: float = _setting(60, "How long `input()` waits for an answer.", "s", gt=0)
    queue_limit: int = _setting(32, "Executions that may wait for one kernel.", "executions", ge=1)
    snapshot: Literal["auto", "always", "never"] = _setting(
        "auto",
        "Whether the state of a kernel before a cell is kept, for undo and for a kernel that dies. `auto`: before what a"
        " model runs, and before other cells where memory allows, at most once a second and not before the first.",
    )
    snapshots: int = _setting(5, "States kept of one kernel; the oldest go first.", "states", ge=0, le=16)
    snapshot_limit: Bytes = _setting(
        ByteSize(1 << 30),
        "Memory that the states of one kernel may add to it; the oldest go first.",
        "size",
        ge=1 << 20,
    )
    on_error: Literal["keep", "rollback"] = _setting(
        "keep", "After an error in a cell that a person or a program runs: keep what it did, or undo it."
    )
    model_on_error: Literal["keep", "rollback"] = _setting(
        "keep", "After an error in a cell that a language model runs: keep what it did, or undo it."
    )
    memory_limit: Bytes = _setting(ByteSize(2 << 30), "Memory of one kernel.", "size", ge=64 << 20)
    output_limit: Bytes = _setting(
        ByteSize(1 << 20), "Output kept of one execution; the whole text is spilled to a file.", "size", ge=1024
    )
    workspace_limit: Bytes = _setting(ByteSize(1 << 30), "Files of one session.", "size", ge=1 << 20)
    upload_limit: Bytes = _setting(ByteSize(200 << 20), "One uploaded file.", "size", ge=1)
    code_limit: Bytes = _setting(ByteSize(1 << 20), "Code of one execution.", "size", ge=1)
    body_limit: Bytes = _setting(
        ByteSize(32 << 20),
        "Body of one JSON request; files are uploaded by PUT, which has its own limit.",
        "size",
        ge=1024,
    )
    processes: int = _setting(128, "Processes and threads in one sandbox.", "processes", ge=16)
    cpus: float = _setting(2, "Processor time of one sandbox; numeric libraries use as many threads.", "cores", gt=0)
    forbidden_modules: Words = _setting((), "Modules the operator refuses: a courtesy, not a boundary.", "list")
    forbidden_calls: Words = _setting((), "Calls the operator refuses, dotted names such as `os.system`.", "list")
    forbidden_magics: Words = _setting((), "IPython magics the operator refuses, without `%`.", "list")
    model: str = _setting(
        "google:gemini-2.5-pro",
        "Model that answers: `google:…`, `openai:…` or `anthropic:…`. Without its key the built-in analyst does.",
    )
    model_titles: bool = _setting(
        True, "A language model also writes the titles of conversations: one short request for each."
    )
    gemini_api_key: SecretStr | None = _foreign(
        "gemini_api_key", "Key for Google's models.", "GEMINI_API_KEY", "GOOGLE_API_KEY"
    )
    google_base_url: str | None = _foreign(
        "google_base_url", "Where Google's API is, when not at Google.", "GOOGLE_GEMINI_BASE_URL"
    )
    openai_api_key: SecretStr | None = _foreign("openai_api_key", "Key for OpenAI's models.", "OPENAI_API_KEY")
    openai_base_url: str | None = _foreign(
        "openai_base_url", "Base URL of an OpenAI-compatible server, which may need no key.", "OPENAI_BASE_URL"
    )
    anthropic_api_key: SecretStr | None = _foreign(
        "anthropic_api_key", "Key for Anthropic's models.", "ANTHROPIC_API_KEY"
    )
    anthropic_base_url: str | None = _foreign(
        "anthropic_base_url", "Where Anthropic's API is, when not at Anthropic.", "ANTHROPIC_BASE_URL"
    )
    remote_servers: Words = _setting(
        (),
        "Jupyter servers whose kernels are used instead of our own; several share the load. `?token=` in one is its own.",
        "list",
        env=("JUPYTER_KERNEL_GATEWAY_URL",),
        repr=False,
        validation_alias=AliasChoices("cellblock_remote_servers", "jupyter_kernel_gateway_url"),
    )
    remote_token: SecretStr | None = _foreign("remote_token", "Token of those servers.", "JUPYTER_AUTH_TOKEN")
    remote_kernels: Words = _setting(
        ("python3",), "Kernelspecs of those servers that sessions may use, the first being the default.", "list"
    )
    remote_env: Words = _setting(
        (), "Variables for their kernels, `NAME=value`; an Enterprise Gateway may want KERNEL_USERNAME.", "list"
    )
    remote_draining: Words = _setting((), "Those of the servers whose kernels stay, and which get no new ones.", "list")
    remote_authority: Path | None = _setting(
        None, "File with certificates (PEM) to trust for those servers, beside the system's."
    )
    remote_auth_header: str = _setting("Authorization", "Header that carries the token.")
    remote_auth_scheme: str = _setting("token", "What stands before the token in that header.")
    remote_username: str | None = _setting(None, "User for HTTP's own (Basic) authentication at those servers.")
    remote_password: SecretStr | None = _setting(
        None, "Its password; without a user, the password of a Jupyter server's login page."
    )
    remote_start_timeout: float = _setting(60, "A kernel at one of those servers starts within this time.", "s", gt=0)
    remote_patience: float = _setting(
        10, "One of those servers that has been silent for this long is dead, and its kernels are lost.", "s", gt=0
    )
    log_format: Literal["console", "json"] = _setting("console", "How log lines look.")

    @property
    def loopback(self) -> bool:
        """Whether the server listens on loopback only."""
        return self.host in LOOPBACK or self.host.startswith("127.")


class Row(NamedTuple):
    """One setting as documents and command line show it. `env`: every variable that sets it, the first being ours."""

    field: str
    env: tuple[str, ...]
    option: str | None
    default: str
    unit: str
    description: str


def rows() -> Iterator[Row]:
    """The table, in its order."""
    for field, info in Settings.model_fields.items():
        extra = cast("Mapping[str, Any]", info.json_schema_extra)
        others = tuple(str(name) for name in extra["env"])
        secret = SecretStr in getattr(info.annotation, "__args__", ())
        option = None if secret else "--" + field.replace("_", "-")
        yield Row(
            field,
            (PREFIX + field.upper(), *others),
            option,
            _default(field, info),
            str(extra["unit"]),
            str(info.description),
        )


def _default(field: str, info: FieldInfo) -> str:
    if field == "data_dir":
        return "~/.local/share/cellblock"
    if info.default is None or info.default == ():
        return ""
    if isinstance(info.default, tuple):
        return " ".join(info.default)
    if isinstance(info.default, ByteSize):
        return info.default.human_readable().replace(".0", "")
    return str(info.default).lower() if isinstance(info.default, bool) else str(info.default)


def load(**overrides: Any) -> Settings:
    """The environment, overruled by `overrides` (texts or values by field; None: not given). ConfigurationError."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        name = PREFIX + str(first["loc"][0]).upper().removeprefix(PREFIX)
        raise ConfigurationError(f"{name}: {first['msg']}", hint="See docs/settings.md.") from None


def warnings(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that looks like a setting and is none."""
    known = [name for row in rows() for name in row.env]
    return [_unknown(name, known) for name in sorted(environ) if name.startswith(PREFIX) and name not in known]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"{name} is not a setting and has no effect." + (f" Did you mean {near[0]}?" if near else "")


def environments(data_dir: Path) -> tuple[Environment, ...]:
    """The rows of `environments.toml`, or `python3`, the server's own interpreter. ConfigurationError names the row."""
    path = data_dir / "environments.toml"
    if not path.exists():
        return (Environment(),)
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from None
    made = tuple(_environment(name, row, path) for name, row in table.items())
    if not made:
        raise ConfigurationError(f"{path} names no environment.", hint="Remove it to have `python3`, the server's own.")
    return made


def _environment(name: str, row: object, path: Path) -> Environment:
    if not isinstance(row, dict) or not isinstance(row.get("python"), str):
        raise ConfigurationError(f'{path}: [{name}] needs python = "/path/to/python".')
    if unknown := set(row) - {"python", "preload", "display_name"}:
        raise ConfigurationError(f"{path}: [{name}] has an unknown key {min(unknown)!r}.")
    preload = row.get("preload", [])
    if not isinstance(preload, list) or not all(isinstance(module, str) for module in preload):
        raise ConfigurationError(f"{path}: [{name}] preload is a list of module names.")
    return Environment(name, row["python"], tuple(preload), str(row.get("display_name", name)))


def remote(settings: Settings) -> Remote | None:
    """The Jupyter servers, None when kernels are our own. ConfigurationError."""
    if not settings.remote_servers:
        return None
    token, password = (
        secret.get_secret_value() if secret else None for secret in (settings.remote_token, settings.remote_password)
    )
    draining = frozenset(address.rstrip("/") for address in settings.remote_draining)
    servers: dict[str, JupyterServer] = {}
    for number, address in enumerate(settings.remote_servers, 1):
        try:
            server = server_at(address, token=token, draining=draining)
        except ValueError as problem:
            said = f"CELLBLOCK_REMOTE_SERVERS: address {number} is none of a server: {problem}."
            raise ConfigurationError(said) from None
        servers[server.url] = server
    if stray := draining - servers.keys():
        raise ConfigurationError(f"CELLBLOCK_REMOTE_DRAINING: {min(stray)} is none of the servers.")
    variables = [
        (name, value) for name, sign, value in (each.partition("=") for each in settings.remote_env) if sign and name
    ]
    if len(variables) < len(settings.remote_env):
        raise ConfigurationError("CELLBLOCK_REMOTE_ENV is made of NAME=value.")
    if not settings.remote_kernels:
        raise ConfigurationError("CELLBLOCK_REMOTE_KERNELS names no kernelspec.")
    if settings.remote_authority and not settings.remote_authority.is_file():
        raise ConfigurationError(f"CELLBLOCK_REMOTE_AUTHORITY: {settings.remote_authority} is no file.")
    return Remote(
        tuple(servers.values()),
        kernels=settings.remote_kernels,
        authority=settings.remote_authority,
        header=settings.remote_auth_header,
        scheme=settings.remote_auth_scheme,
        username=settings.remote_username,
        password=password,
        env=tuple(variables),
        start_timeout=settings.remote_start_timeout,
        patience=settings.remote_patience,
    )


SAME_NAME = (
    *("data_dir", "sandbox", "pool_size", "pool_max", "max_timeout", "memory_limit", "output_limit", "workspace_limit"),
    *("upload_limit", "code_limit", "queue_limit", "kernels_per_owner", "idle_timeout", "processes", "cpus", "grace"),
    *("stdin_timeout", "keep_kernels", "reattach_timeout"),
    *("snapshot", "snapshots", "snapshot_limit", "on_error", "model_on_error"),
)


def config(settings: Settings) -> Config:
    """What the interpreter is told. ConfigurationError when `environments.toml` cannot be used."""
    forbidden = CodeRules(settings.forbidden_modules, settings.forbidden_calls, settings.forbidden_magics)
    elsewhere = remote(settings)
    named = tuple(Environment(name, "", (), name) for name in elsewhere.kernels) if elsewhere else ()
    return Config(
        environments=named or environments(settings.data_dir),
        kernelspecs=() if elsewhere else kernelspecs.installed(),
        remote=elsewhere,
        forbidden=forbidden,
        **{name: getattr(settings, name) for name in SAME_NAME},
    )


def markdown() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated from `settings.py` by `make openapi`. Each row is an environment variable and, but for secrets, an",
        "option of `cellblock serve`; the option wins. Sizes are bytes or texts such as `2GiB`; times are seconds;",
        "lists are words separated by commas or spaces.",
        "",
        "| variable | option | default | unit | what it sets |",
        "|---|---|---|---|---|",
    ]
    for row in rows():
        names = ", ".join(f"`{name}`" for name in row.env)
        option = f"`{row.option}`" if row.option else "–"
        default = f"`{row.default}`" if row.default else "–"
        lines.append(f"| {names} | {option} | {default} | {row.unit or '–'} | {row.description} |")
    return "\n".join([*lines, "", *_ENVIRONMENTS_DOC, ""])


_ENVIRONMENTS_DOC = [
    "## environments.toml",
    "",
    "In the data directory. Each table is an environment: a Python that has `ipykernel`, and the modules its fork",
    "server imports once so that kernels start with them. Without the file there is one, `python3`, the server's own.",
    "",
    "```toml",
    "[python3]",
    'python = "/usr/bin/python3"',
    'preload = ["numpy", "pandas", "matplotlib.pyplot"]',
    "",
    "[science]",
    'python = "/opt/science/bin/python"',
    'preload = ["pandas", "scipy"]',
    'display_name = "Python with SciPy"',
    "```",
]
