"""Maven builds the Java SDK: its own tests pass, and jar, sources and javadoc are made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from support.packages import require_program

SOURCE = Path(__file__).parents[2] / "sdk" / "java"


@pytest.mark.long
def test_maven_builds_and_tests_the_java_sdk(tmp_path: Path) -> None:
    require_program("javac", "default-jdk-headless")
    maven = require_program("mvn", "maven")
    shutil.copytree(SOURCE, tmp_path / "java", ignore=shutil.ignore_patterns("target"))
    done = subprocess.run(
        [maven, "-q", "-B", "verify"], cwd=tmp_path / "java", capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    made = {path.name for path in (tmp_path / "java/target").glob("*.jar")}
    assert made == {f"swim-client-1.0.0{kind}.jar" for kind in ("", "-sources", "-javadoc")}
