"""One table of settings: values, command-line options and documents agree with it."""

from pathlib import Path

import pytest

from cellblock import settings
from cellblock.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in settings.rows():
        for name in row.env:
            monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_those_of_the_design() -> None:
    loaded = settings.load()
    assert (loaded.host, loaded.port, loaded.pool_size, loaded.max_timeout) == ("127.0.0.1", 3000, 2, 60)
    assert (loaded.memory_limit, loaded.output_limit, loaded.code_limit) == (2 << 30, 1 << 20, 1 << 20)
    assert (loaded.workspace_limit, loaded.upload_limit) == (1 << 30, 200 << 20)
    assert (loaded.queue_limit, loaded.kernels_per_owner, loaded.idle_timeout) == (32, 20, 1800)
    assert loaded.model == "google:gemini-2.5-pro"


@pytest.mark.parametrize(("text", "size"), [("2GiB", 2 << 30), ("1.5 MiB", 3 << 19), ("70000000", 70_000_000)])
def test_a_size_is_a_number_of_bytes_or_a_text_with_a_unit(
    monkeypatch: pytest.MonkeyPatch, text: str, size: int
) -> None:
    monkeypatch.setenv("CELLBLOCK_WORKSPACE_LIMIT", text)
    assert settings.load().workspace_limit == size


def test_a_list_is_words_between_commas_or_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBLOCK_FORBIDDEN_MODULES", "os, subprocess socket")
    assert settings.load().forbidden_modules == ("os", "subprocess", "socket")


def test_an_option_overrules_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBLOCK_PORT", "4000")
    assert settings.load().port == 4000
    assert settings.load(port="5000").port == 5000
    assert settings.load(port=None).port == 4000


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELLBLOCK_TOKEN", "")
    assert settings.load().token is None


@pytest.mark.parametrize("name", ["GEMINI_API_KEY", "GOOGLE_API_KEY", "CELLBLOCK_GEMINI_API_KEY"])
def test_a_providers_own_key_name_is_honoured(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "secret-key")
    loaded = settings.load()
    assert loaded.gemini_api_key is not None
    assert loaded.gemini_api_key.get_secret_value() == "secret-key"
    assert "secret-key" not in repr(loaded)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("SANDBOX", "strong"), ("MEMORY_LIMIT", "much"), ("MAX_TIMEOUT", "0"), ("GRACE", "inf")],
)
def test_a_value_that_does_not_fit_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CELLBLOCK_{name}", value)
    with pytest.raises(ConfigurationError, match=f"^CELLBLOCK_{name}: "):
        settings.load()


def test_a_misspelt_variable_is_told_with_the_nearest_name() -> None:
    said = settings.warnings({"CELLBLOCK_MEMORYLIMIT": "1GiB", "CELLBLOCK_PORT": "1", "PATH": "/bin"})
    assert said == ["CELLBLOCK_MEMORYLIMIT is not a setting and has no effect. Did you mean CELLBLOCK_MEMORY_LIMIT?"]


def test_without_a_server_elsewhere_kernels_are_our_own(tmp_path: Path) -> None:
    loaded = settings.load(data_dir=tmp_path)
    assert settings.remote(loaded) is None
    assert settings.config(loaded).remote is None


def test_jupyters_own_names_say_where_kernels_come_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JUPYTER_KERNEL_GATEWAY_URL", "http://a:8888/, https://b/base/?token=t0ken-b")
    monkeypatch.setenv("JUPYTER_AUTH_TOKEN", "t0ken-a")
    monkeypatch.setenv("CELLBLOCK_REMOTE_DRAINING", "http://a:8888")
    monkeypatch.setenv("CELLBLOCK_REMOTE_KERNELS", "python3 ir")
    monkeypatch.setenv("CELLBLOCK_REMOTE_ENV", "KERNEL_USERNAME=ada,B=c=d")
    told = settings.config(settings.load(data_dir=tmp_path))
    assert told.remote is not None
    assert told.remote.env == (("KERNEL_USERNAME", "ada"), ("B", "c=d"))
    first, second = told.remote.servers
    assert (first.url, first.token, first.draining) == ("http://a:8888", "t0ken-a", True)
    assert (second.url, second.token, second.name, second.draining) == ("https://b/base", "t0ken-b", "b/base", False)
    assert [environment.name for environment in told.environments] == ["python3", "ir"]
    for shown in (repr(told), repr(settings.load())):
        assert "t0ken" not in shown


@pytest.mark.parametrize(
    "address",
    [
        "gateway:8888",
        "ftp://a",
        "http://",
        "http://user:pw@a",
        "http://a/?x=1",
        "http://a/#x",
        "http://a:port",
        "http://[a",
    ],
)
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CELLBLOCK_REMOTE_SERVERS", address)
    with pytest.raises(ConfigurationError, match="CELLBLOCK_REMOTE_SERVERS") as told:
        settings.remote(settings.load())
    assert "pw" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "value"), [("DRAINING", "http://b"), ("AUTHORITY", "/no/such/file"), ("KERNELS", " , "), ("ENV", "A")]
)
def test_what_does_not_fit_a_server_elsewhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("CELLBLOCK_REMOTE_SERVERS", "http://a")
    monkeypatch.setenv(f"CELLBLOCK_REMOTE_{name}", value)
    with pytest.raises(ConfigurationError, match=f"CELLBLOCK_REMOTE_{name}"):
        settings.remote(settings.load())


def test_no_secret_is_an_option() -> None:
    without = {row.field for row in settings.rows() if row.option is None}
    models = {"gemini_api_key", "openai_api_key", "anthropic_api_key"}
    assert without == {"token", "remote_token", "remote_password", *models}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_loopback_addresses_are_known(host: str) -> None:
    assert settings.load(host=host).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_other_addresses_are_not_loopback(host: str) -> None:
    assert not settings.load(host=host).loopback


def test_the_interpreter_is_told_every_setting_that_concerns_it(tmp_path: Path) -> None:
    told = settings.config(settings.load(data_dir=tmp_path, memory_limit="1GiB", forbidden_calls="os.system"))
    assert (told.data_dir, told.memory_limit, told.forbidden.calls) == (tmp_path, 1 << 30, ("os.system",))
    defaults = settings.config(settings.load(data_dir=tmp_path))
    for name in settings.SAME_NAME:
        assert getattr(defaults, name) == getattr(settings.load(data_dir=tmp_path), name)
    elsewhere = {
        "host",
        "jupyter_port",
        "port",
        "token",
        "loopback_trust",
        "allowed_hosts",
        "body_limit",
        "log_format",
        "model",
        "model_titles",
    }
    models = {name for name in settings.Settings.model_fields if name.endswith(("_api_key", "_base_url"))}
    forbidden = {"forbidden_modules", "forbidden_calls", "forbidden_magics"}
    remote = {name for name in settings.Settings.model_fields if name.startswith("remote_")}
    assert set(settings.Settings.model_fields) == {*settings.SAME_NAME, *elsewhere, *models, *forbidden, *remote}


def test_without_a_file_there_is_one_environment(tmp_path: Path) -> None:
    (only,) = settings.environments(tmp_path)
    assert only.name == "python3"


def test_environments_are_read_from_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text('[plain]\npython = "/usr/bin/python3"\npreload = ["json"]\n')
    (row,) = settings.environments(tmp_path)
    assert (row.name, row.python, row.preload, row.display_name) == ("plain", "/usr/bin/python3", ("json",), "plain")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no environment"),
        ("[a", "cannot be read"),
        ("[a]\n", r"\[a\] needs python"),
        ('[a]\npython = "p"\npath = "q"\n', "unknown key 'path'"),
        ('[a]\npython = "p"\npreload = "pandas"\n', "preload is a list"),
    ],
)
def test_a_broken_environments_file_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "environments.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        settings.environments(tmp_path)
