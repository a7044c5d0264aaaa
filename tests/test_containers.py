"""The files of docker/ and .devcontainer/, which no test can build, agree with the repository."""

import json
import re

import pytest
from repository import ROOT

from rakuten import storage
from rakuten.tracking import serve_command

DOCKER = ROOT / "docker"
SERVICES = storage.read_yaml(DOCKER / "compose.yaml")["services"]
BUILT = {name: service for name, service in SERVICES.items() if "build" in service}


def stages():
    """The instructions of each stage of the Dockerfile, by its name."""
    text = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ")
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return {
        name: [tuple(line.split(maxsplit=1)) for line in body.splitlines() if line]
        for name, body in zip(parts[2::3], parts[3::3], strict=True)
    }


STAGES = stages()


@pytest.mark.parametrize("name", BUILT)
def test_a_service_is_built_from_a_stage_that_runs_without_root(name):
    build = BUILT[name]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"
    instructions = dict(STAGES[build["target"]])
    assert instructions["USER"].isdecimal()  # Kubernetes checks numbers only
    assert int(instructions["USER"]) > 0
    assert json.loads(instructions["HEALTHCHECK"].partition("CMD ")[2])[0] == "python"
    command = json.loads(instructions["CMD"])
    inside = BUILT[name]["ports"][0].rpartition(":")[2]
    assert inside == instructions["EXPOSE"]
    assert f":{inside}/" in instructions["HEALTHCHECK"]
    assert command[command.index("--host" if "--host" in command else "--address") + 1] == "0.0.0.0"


def test_what_the_images_copy_is_in_the_repository_and_not_ignored():
    ignored, *listed = (DOCKER / "Dockerfile.dockerignore").read_text().split()
    kept = {line.removeprefix("!") for line in listed if line.startswith("!")}
    assert ignored == "*"
    for instructions in STAGES.values():
        for instruction, rest in instructions:
            if instruction == "COPY" and "--from" not in rest:
                source = rest.split()[0]
                assert source in kept or source.startswith(tuple(f"{one}/" for one in kept))
                assert source.startswith("docker/model") or (ROOT / source).exists()


def test_stages_copy_packages_from_stages():
    named = re.findall(r"--from=(\S+)", (DOCKER / "Dockerfile").read_text())
    assert set(named) <= set(STAGES)


def test_keys_and_passwords_come_from_a_file_that_git_ignores():
    text = (DOCKER / "compose.yaml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert required == {serve_command.KEY, "POSTGRES_PASSWORD"}
    for line in text.splitlines():
        if re.search("key|password", line.partition("#")[0], flags=re.IGNORECASE):
            assert "${" in line, line
    example = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / ".env.example").read_text(), re.MULTILINE))
    assert set(re.findall(r"\$\{(\w+)", text)) == set(example)
    assert not any(example[name] for name in required)
    assert "/docker/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_only_this_computer_reaches_the_ports():
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_the_development_container_forwards_the_ports_of_the_commands():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    ports = {int(port) for port in container["portsAttributes"]}
    assert ports == set(container["forwardPorts"]) == {5000, 5001, 8501}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {re.findall(r"make ([a-z]+)", one["label"])[0] for one in
             container["portsAttributes"].values()}  # fmt: skip
    assert named | {container["postCreateCommand"].removeprefix("make ")} <= targets
