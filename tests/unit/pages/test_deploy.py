"""The files of deploy/ fit the program: its commands, options, variables, endpoints, probes and metrics.

No test has Docker or Kubernetes. Models that follow from the schemas of Kubernetes, KEDA and the Prometheus operator
take the manifests; commands and probes run. ``make image`` carries out the Dockerfile.
"""

import importlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from hammerwork_cli.config import KEYS
from tests.commands.test_help import problem_of
from tests.conftest import unavailable
from tests.page_runner import free_port, installed
from tests.pages import ROOT, Page

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = [
    (path.name, manifest)
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text("utf-8"))
]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
VARIABLES = {*(name for key in KEYS.values() for name in key.variables), "HAMMERWORK_WEB_TOKEN"}

MODELS = {
    "apps/v1": "kubernetes.apps.v1",
    "batch/v1": "kubernetes.batch.v1",
    "keda.sh/v1alpha1": "keda.v1alpha1",
    "monitoring.coreos.com/v1": "prometheus_operator.v1",
    "policy/v1": "kubernetes.policy.v1",
    "v1": "kubernetes.core.v1",
}
"""apiVersion -> the module of its schemas, below ``cloudcoil.models``."""


def pods() -> dict[str, dict[str, Any]]:
    """The specification of each pod by the name of its container."""
    specs = [
        manifest["spec"]["template"]["spec"] for _, manifest in MANIFESTS if "template" in manifest.get("spec", {})
    ]
    return {spec["containers"][0]["name"]: spec for spec in specs}


def container(name: str) -> dict[str, Any]:
    (found,) = pods()[name]["containers"]
    assert isinstance(found, dict)
    return found


def command_lines() -> dict[str, list[str]]:
    """What follows ``hammerwork`` in each file."""
    units = {path.name: re.findall(r"^ExecStart=(.+)$", path.read_text("utf-8"), re.MULTILINE) for path in UNITS}
    found = {name: shlex.split(line)[1:] for name, (line,) in units.items()}
    found |= {f"kubernetes {name}": container(name)["args"] for name in pods()}
    found |= {
        f"compose {name}": service["command"] for name, service in COMPOSE["services"].items() if "command" in service
    }
    image = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert image is not None
    return {**found, "Dockerfile": yaml.safe_load(image[1])}


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])  # type: ignore[index]


def option(words: list[str], name: str) -> str:
    """The value of an option, as ``--name value`` or ``--name=value``."""
    return re.split(rf"(?:^| )--{name}[= ]", " ".join(words), maxsplit=1)[1].split(" ")[0]


def test_the_program_takes_every_command_of_the_files() -> None:
    lines = command_lines()
    assert len(lines) == 9
    assert {place: problem for place, words in lines.items() if (problem := problem_of(words))} == {}


def test_a_stop_lasts_longer_than_the_grace_of_the_worker() -> None:
    unit = (DEPLOY / "systemd" / "hammerwork-worker@.service").read_text("utf-8")
    stops = {
        "hammerwork-worker@.service": re.findall(r"TimeoutStopSec=(\d+)", unit)[0] + "s",
        "kubernetes worker": f"{pods()['worker']['terminationGracePeriodSeconds']}s",
        "compose worker": COMPOSE["services"]["worker"]["stop_grace_period"],
    }
    lines = command_lines()
    for place, stop in stops.items():
        assert seconds(stop) >= seconds(option(lines[place], "grace")) + 10, place
    assert "KillMode=mixed" in unit


def test_the_program_reads_each_variable_that_the_files_set() -> None:
    in_pods = {one["name"] for name in pods() for one in container(name)["env"]}
    expanded = set(re.findall(r"\$\((\w+)\)", " ".join(word for words in command_lines().values() for word in words)))
    in_compose = {
        name for service in ("worker", "web", "migrate") for name in COMPOSE["services"][service]["environment"]
    }
    in_units = set(re.findall(r"^(\w+)=", (DEPLOY / "systemd" / "hammerwork.env").read_text("utf-8"), re.MULTILINE))
    assert in_pods - expanded <= VARIABLES
    assert expanded <= in_pods
    assert in_compose | in_units <= VARIABLES
    assert "HAMMERWORK_DATABASE_URL" in in_pods & in_compose & in_units


def problem_of_manifest(manifest: dict[str, Any]) -> str:
    """What a schema says against a manifest; empty if nothing."""
    module = importlib.import_module(f"cloudcoil.models.{MODELS[manifest['apiVersion']]}")
    try:
        model = getattr(module, manifest["kind"]).model_validate(manifest)
    except ValueError as error:
        return str(error)
    # A model drops keys that it does not know, and makes numbers of texts.
    read = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return "" if read == manifest else f"{manifest} is read as {read}"


@pytest.mark.skipif(
    not (find_spec("cloudcoil") or os.environ.get("CI")), reason="the development dependencies are not all installed"
)
def test_the_schemas_of_kubernetes_keda_and_the_prometheus_operator_take_the_manifests() -> None:
    manifests = [(name, one) for name, one in MANIFESTS if one["kind"] != "Kustomization"]
    assert {one["kind"] for _, one in manifests} >= {"Deployment", "Job", "ScaledObject", "ServiceMonitor"}
    assert {name: problem for name, one in manifests if (problem := problem_of_manifest(one))} == {}
    for _, one in manifests:
        for key in [*one.get("spec", ())]:
            assert problem_of_manifest({**one, "spec": {**one["spec"], f"{key}s": one["spec"][key]}}), key
            assert problem_of_manifest({**one, "spec": {**one["spec"], key: [{"no": "such value"}]}}), key


def test_manifests_name_what_is_there() -> None:
    (secret,) = (manifest for _, manifest in MANIFESTS if manifest["kind"] == "Secret")
    named = [find for _, manifest in MANIFESTS for find in below(manifest, {"secretKeyRef", "credentials"})]
    assert named
    assert all(one["name"] == secret["metadata"]["name"] and one["key"] in secret["stringData"] for one in named)
    for name, spec in pods().items():
        assert {mount["name"] for mount in container(name).get("volumeMounts", ())} == {
            volume["name"] for volume in spec.get("volumes", ())
        }
        user = container(name)["securityContext"]["runAsUser"]
        assert f"USER {user}\n" in DOCKERFILE
        assert f"--uid {user} " in DOCKERFILE
    labels = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["metadata"]["labels"]
        for _, manifest in MANIFESTS
        if manifest["kind"] == "Deployment"
    }
    for place, manifest in MANIFESTS:
        for selector in below(manifest, {"matchLabels"}):
            assert selector in labels.values(), place
        for target in below(manifest, {"scaleTargetRef"}):
            assert target["name"] in labels, place
        for resource in manifest.get("resources", ()):
            assert (DEPLOY / "kubernetes" / resource).exists()


def below(value: Any, keys: set[str]) -> Iterator[Any]:
    """The values of these keys, at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if key in keys:
            yield inner
        yield from below(inner, keys)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        unavailable("systemd-analyze is missing")
    program = installed(tmp_path) / "hammerwork"
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/video/bin/hammerwork", str(program))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_image_copies_what_the_repository_has() -> None:
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert {"requirements.lock", "deploy/video.py"} <= set(copied)
    assert [source for source in copied if not (ROOT / source).exists() or f"!{source}" not in kept] == []
    needed = re.findall(
        r'^(?:readme|license-files|path) = \[?"([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert [name for name in needed if name.split("/")[0] not in copied] == []


def test_the_scaler_asks_for_metrics_that_the_program_has(
    hammerwork: Callable[..., Any], new_database: Callable[..., str]
) -> None:
    url = new_database("sqlite", migrated=True)
    hammerwork("job", "enqueue", "--queue", "video", "--payload", "{}", url=url)
    samples = hammerwork("monitor", "metrics", "--format", "prometheus", url=url).stdout
    (query,) = (
        trigger["metadata"]["query"] for _, one in MANIFESTS for trigger in one.get("spec", {}).get("triggers", ())
    )
    name, labels = re.findall(r"(hammerwork_\w+)\{(.*?)\}", query)[0]
    state = re.findall(r'state="(\w+)"', labels)[0]
    assert re.search(rf'^{name}\{{queue="video",state="{state}"\}} 1', samples, re.MULTILINE)
    assert "video" in re.findall(r'queue=~"([^"]+)"', labels)[0].split("|")


@pytest.fixture
def started(
    clean_environment: dict[str, str], new_database: Callable[..., str], tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Starts the program as a container would, in the folder of the application."""
    running: list[subprocess.Popen[bytes]] = []
    path = f"{installed(tmp_path)}{os.pathsep}{clean_environment['PATH']}"
    environment = {
        **clean_environment,
        "PATH": path,
        "HAMMERWORK_DATABASE_URL": new_database("sqlite", migrated=True),
        "HAMMERWORK_WEB_TOKEN": "0123456789abcdef",
    }

    def start(words: list[str]) -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("w") as log:
            running.append(subprocess.Popen(["hammerwork", *words], cwd=DEPLOY, env=environment, stderr=log))
        return running[-1]

    yield start
    for one in running:
        one.kill()
        one.wait()


def test_the_probes_of_a_worker_see_it_live_and_it_ends_when_asked(started: Callable[..., Any], tmp_path: Path) -> None:
    worker = container("worker")
    folder = worker["volumeMounts"][0]["mountPath"]

    def here(words: list[str]) -> list[str]:
        return [word.replace(folder, str(tmp_path)).replace("$(POD_NAME)", "pod") for word in words]

    startup, liveness = (here(worker[probe]["exec"]["command"]) for probe in ("startupProbe", "livenessProbe"))
    assert subprocess.run(startup, check=False).returncode == 1
    program = started(here(worker["args"]))
    until(lambda: subprocess.run(startup, check=False).returncode == 0, program)
    assert subprocess.run(liveness, check=False).returncode == 0
    compose = COMPOSE["services"]["worker"]["healthcheck"]["test"]
    assert compose[1].replace("$$", "$") == worker["livenessProbe"]["exec"]["command"][2]
    program.send_signal(signal.SIGTERM)
    assert program.wait(20) == 0


def test_the_probes_of_the_web_server_reach_it_by_address_and_by_its_name(started: Callable[..., Any]) -> None:
    web = container("web")
    assert web["ports"][0] == {"name": "http", "containerPort": int(option(web["args"], "port"))}
    port = free_port()
    program = started([re.sub(r"--port=\d+", f"--port={port}", word) for word in web["args"]])
    (service,) = (one for _, one in MANIFESTS if one["kind"] == "Service")
    (monitor,) = (one for _, one in MANIFESTS if one["kind"] == "ServiceMonitor")
    answers: dict[str, int] = {}

    def answered() -> bool:
        for path, host in [
            (web["readinessProbe"]["httpGet"]["path"], f"10.1.2.3:{port}"),
            (monitor["spec"]["endpoints"][0]["path"], "10.1.2.3"),
            ("/api/queues", service["metadata"]["name"]),
        ]:
            headers = {"Host": host, "Authorization": "Bearer 0123456789abcdef"}
            try:
                answers[path] = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers).status_code
            except httpx.ConnectError:
                return False
        return True

    until(answered, program)
    assert answers == {"/health": 200, "/metrics": 200, "/api/queues": 200}


def until(happens: Callable[[], bool], program: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert program.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_page_names_every_file() -> None:
    page = Page(next((ROOT / "docs").rglob("deploy.md")))
    linked = {link.rpartition("deploy/")[2] for _, link in page.links() if "deploy/" in link}
    files = {
        str(path.relative_to(DEPLOY))
        for path in DEPLOY.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files - linked == set()
