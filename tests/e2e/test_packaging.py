"""What pip installs: who owns which file, metadata, bounds that are true at both ends, every Python that is named."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.debian_root import ROOT, copy_project
from support.live_daemon import live_daemon
from support.packages import INSTALL_SECONDS
from support.pythons import python_of, run_tests

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels and archives of both distributions, made from a copy."""
    folder = tmp_path_factory.mktemp("built")
    copy_project(folder / "project")
    for project in (folder / "project", folder / "project" / "sdk" / "python"):
        pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(project))
    return folder


def pip(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words], capture_output=True, text=True,
        timeout=INSTALL_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def wheel(built: Path, name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(built.glob(f"{name}-*.whl")))


def metadata(built: Path, name: str) -> dict[str, list[str]]:
    with wheel(built, name) as file:
        entry = next(each for each in file.namelist() if each.endswith(".dist-info/METADATA"))
        message = Parser().parsestr(file.read(entry).decode())
    found = {key: [str(each) for each in message.get_all(key, [])] for key in set(message.keys())}
    return found | {"text": [str(message.get_payload())]}


def test_no_file_belongs_to_both_distributions(built: Path) -> None:
    """Uninstalling the one would take files of the other along."""
    with wheel(built, "swimctl") as ours, wheel(built, "swim_client") as theirs:
        tops = {name.partition("/")[0] for name in ours.namelist()}
        assert {top for top in tops if not top.endswith(".dist-info")} == {"swimctl", "swim_server", "swim_conformance"}
        assert set(ours.namelist()).isdisjoint(theirs.namelist())
    required = [re.split(r"[ <>=;\[]", each)[0] for each in metadata(built, "swimctl")["Requires-Dist"]]
    assert "swim-client" not in required, "a name that isn't published could be taken by a stranger"


@pytest.mark.parametrize("name", ["swimctl", "swim_client"])
def test_metadata_is_complete(built: Path, name: str) -> None:
    found = metadata(built, name)
    for field in ("Summary", "Author", "Keywords", "License-Expression", "License-File", "Requires-Python"):
        assert found.get(field), field
    assert {each.partition(",")[0] for each in found["Project-URL"]} == {
        "Source", "Documentation", "Changelog", "Issues",
    }  # fmt: skip
    assert "Typing :: Typed" in found["Classifier"]
    links = re.findall(r"\]\(([^)]+)\)", found["text"][0])
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_both_install_beside_each_other_and_go_one_by_one(built: Path, tmp_path: Path) -> None:
    """Without their dependencies, which this environment has."""
    site = tmp_path / "site"
    pip("install", "--no-deps", "--target", str(site), *map(str, built.glob("*.whl")))
    environ = os.environ | {"PYTHONPATH": str(site)}
    shutil.rmtree(site / "swim_client")
    code = "import swimctl, swim_server; print(swimctl.__file__)"
    words = [sys.executable, "-c", code]
    shown = subprocess.run(words, env=environ, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert str(site) in shown.stdout
    done = subprocess.run(
        [sys.executable, "-m", "swimctl", "version"], env=environ, capture_output=True, text=True, check=True,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout


# Long: other versions are installed for real, and run the tests of what uses them.

PLATFORMS = ("win_amd64", "macosx_11_0_arm64", "macosx_12_0_x86_64")


@pytest.mark.long
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", ["swimctl", "swim_client"])
def test_every_dependency_has_a_wheel_for_other_platforms(
    built: Path, tmp_path: Path, platform: str, name: str
) -> None:
    """Nobody has to compile anything; what has no wheel there is not asked for."""
    requirements = tmp_path / "requirements.txt"
    windows = {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"}
    mac = {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"}
    wanted = []
    for text in metadata(built, name)["Requires-Dist"]:
        each = Requirement(text)
        there = {"platform_python_implementation": "CPython", "extra": ""} | (windows if "win_" in platform else mac)
        if each.marker is None or each.marker.evaluate(there):
            wanted.append(f"{each.name}{each.specifier}")
    requirements.write_text("\n".join(wanted), "utf-8")
    pip(
        "download", "--quiet", "--only-binary", ":all:", "--platform", platform, "--python-version", "3.12",
        "--no-deps", "--dest", str(tmp_path / "wheels"), "--requirement", str(requirements),
    )  # fmt: skip
    assert len(list((tmp_path / "wheels").iterdir())) == len(wanted)
    if "win_" in platform and name == "swimctl":
        assert not any(each.startswith("uvloop") for each in wanted)


UNIT = ("tests/unit",)
WHOLE = (
    *UNIT, "tests/integration/test_cli_life.py", "tests/integration/test_cli_events.py",
    "tests/integration/test_keys_cli.py", "tests/integration/test_restart.py", "tests/integration/test_tls.py",
    "tests/integration/test_event_file.py", "tests/integration/test_gateway_clients.py",
    "tests/integration/test_sdk_daemon.py",
)  # fmt: skip


def lowest_bounds() -> list[str]:
    """Each requirement in the lowest version that its bounds allow."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    found = []
    for text in project["dependencies"]:
        requirement, _, marker = text.partition(";")
        name, _, rest = requirement.partition(">=")
        assert rest, f"{text}: no lower bound"
        found.append(f"{name}=={rest.partition(',')[0].strip()}" + (f"; {marker.strip()}" if marker else ""))
    return found


@pytest.mark.long
@pytest.mark.parametrize("end", ["lowest", "newest"])
def test_bounds_of_dependencies_are_true_at_both_ends(end: str) -> None:
    with python_of("3.11") as python:
        run_tests(python, WHOLE, constraints=lowest_bounds() if end == "lowest" else ["--upgrade"])


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_suite_passes_on_every_python_that_is_named(version: str) -> None:
    with python_of(version) as python:
        run_tests(python, WHOLE)


LISTENER = """
import sys
from swim_client import SWIMClient, sync

client = SWIMClient()
seen = []

@client.on("*")
def on_event(event, timestamp):
    seen.append(event.type)
    if len(seen) == 3:
        client.stop()

client.subscribe(["flight.*"])
client.run()
with sync.SWIMClient() as plain:
    for event in plain.events(["flight.*"]):
        seen.append(event.type)
        break
import websockets
print("%d.%d" % sys.version_info[:2], websockets.__version__, *seen)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("version", "websockets"),
    [("3.9", "websockets==13.1"), ("3.9", "websockets"), ("3.13", "websockets==13.1"), ("3.14", "websockets")],
)
def test_sdk_listens_on_its_oldest_and_newest_python_and_websockets(
    tmp_path: Path, version: str, websockets: str
) -> None:
    with (
        live_daemon(tmp_path / "h", sources=["simulator?flights=50&speed=60"]) as daemon,
        python_of(version) as python,
    ):
        own = python.environment()
        python.run(
            own, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", f"{python.project}/sdk/python",
            websockets,
        )  # fmt: skip
        given = [f"SWIM_API_KEY={daemon.api_key()}", f"SWIM_URL={daemon.status()['url']}"]
        shown = python.run("env", *given, own, "-c", LISTENER, seconds=60).split()
        assert shown[0] == version
        assert websockets in ("websockets", f"websockets=={shown[1]}")
        assert [each.partition(".")[0] for each in shown[-4:]] == ["flight"] * 4
