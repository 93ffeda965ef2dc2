"""The JavaScript package as npm packs it: small, right for ESM and CommonJS, with types."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest
from support.packages import missing, require_npm_package, require_program
from swim_conformance.builds import Unavailable, javascript

MAX_BYTES = 12 * 1024
PROGRAM = """
import { SwimWebSocketClient, AuthenticationError } from 'swim-client';
const client = new SwimWebSocketClient('key', { wsUrl: 'wss://example.org/' });
client.on('flight.departed', (flight) => { const from: string | null | undefined = flight.dep; void from; });
client.on('disconnected', ({ code, will_reconnect }) => { const sum: number = code; void sum; void will_reconnect; });
client.on('weather.metar', (data, timestamp, type) => { void data.station; void timestamp; void type; });
const answer = client.subscribe(['flight.*'], { airports: 'KJFK' }, { since: '10m' });
async function listen(): Promise<void> {
  for await (const event of client.events(['flight.*'])) { const id: string | null = event.id; void id; }
}
void answer; void listen; void AuthenticationError;
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a program that has installed the package from what ``npm pack`` made."""
    npm = require_program("npm", "npm")
    require_program("node", "nodejs")
    try:
        built = javascript()
    except Unavailable as problem:
        missing(str(problem))
    folder = tmp_path_factory.mktemp("program")
    run([npm, "pack", "--ignore-scripts", "--silent", "--pack-destination", str(folder)], built)
    packed = next(folder.glob("*.tgz"))
    installed = folder / "node_modules" / "swim-client"
    installed.mkdir(parents=True)
    run(["tar", "-xzf", str(packed), "--strip-components=1", "-C", str(installed)], folder)
    return folder


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("esm.mjs", "import { SwimWebSocketClient } from 'swim-client'; console.log(typeof SwimWebSocketClient);"),
        ("cjs.cjs", "console.log(typeof require('swim-client').SwimWebSocketClient);"),
        ("script.cjs", "require('swim-client/swim-client.js'); console.log(typeof globalThis.SWIMWebSocket);"),
    ],
)
def test_package_is_loaded_every_way(package: Path, name: str, code: str) -> None:
    (package / name).write_text(code, "utf-8")
    assert run(["node", name], package).strip() == "function"


def test_script_file_is_small_and_nothing_is_installed_beside(package: Path) -> None:
    installed = package / "node_modules" / "swim-client"
    assert len(gzip.compress((installed / "dist/swim-client.js").read_bytes(), 9)) <= MAX_BYTES
    assert "dependencies" not in json.loads((installed / "package.json").read_text("utf-8"))
    assert {path.name for path in installed.iterdir()} == {"dist", "package.json", "README.md", "LICENSE"}


def test_package_is_published_right(package: Path) -> None:
    publint = require_npm_package("publint", "0.3.12") / "publint" / "src" / "cli.js"
    told = run(["node", str(publint), str(package / "node_modules/swim-client"), "--strict"], package)
    assert "All good!" in told


@pytest.mark.long
def test_types_hold_for_a_program_in_typescript(package: Path) -> None:
    compiler = require_npm_package("typescript", "5.8.3") / "typescript" / "bin" / "tsc"
    (package / "program.mts").write_text(PROGRAM, "utf-8")
    options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    run(["node", str(compiler), *options, "program.mts"], package)
