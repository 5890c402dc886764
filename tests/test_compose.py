"""The compose file of a gateway with Cellblock in front: what Docker makes of it, and that its pins are ours."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COMPOSE = Path(sys.executable).with_name("docker-compose")
SECRETS = {"CELLBLOCK_TOKEN": "ours", "JUPYTER_AUTH_TOKEN": "theirs"}


def configured(**given: str) -> "subprocess.CompletedProcess[str]":
    """What compose says of the file in an environment."""
    command = [str(COMPOSE), "--file", str(ROOT / "docker-compose.yml"), "config", "--format", "json"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **given}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)


def services() -> dict[str, Any]:
    done = configured(**SECRETS)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_the_gateway_has_a_token_a_volume_a_limit_and_comes_back() -> None:
    gateway = services()["gateway"]
    assert gateway["environment"]["KG_AUTH_TOKEN"] == "theirs"
    assert [volume["target"] for volume in gateway["volumes"]] == ["/workspace"]
    assert int(gateway["mem_limit"]) == 4 << 30
    assert gateway["restart"] == "unless-stopped"
    assert "ports" not in gateway  # only Cellblock reaches it
    assert list(gateway["networks"]) == ["kernels"]


def test_cellblock_is_in_front_and_asks_for_its_token() -> None:
    front = services()["cellblock"]
    environment = front["environment"]
    assert environment["JUPYTER_KERNEL_GATEWAY_URL"] == "http://gateway:8888"
    assert (environment["JUPYTER_AUTH_TOKEN"], environment["CELLBLOCK_TOKEN"]) == ("theirs", "ours")
    assert [port["host_ip"] for port in front["ports"]] == ["127.0.0.1"]
    assert front["depends_on"]["gateway"]["condition"] == "service_healthy"


def test_without_secrets_nothing_starts() -> None:
    for missing in SECRETS:
        done = configured(**{name: value for name, value in SECRETS.items() if name != missing})
        assert done.stdout == ""
        assert missing in done.stderr


def test_the_dockerfiles_are_there_and_their_pins_are_ours() -> None:
    for service in services().values():
        build = service["build"]
        assert (Path(build["context"]) / build.get("dockerfile", "Dockerfile")).is_file()
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for line in (ROOT / "docker/gateway/requirements.txt").read_text().splitlines():
        assert line in pins, line
