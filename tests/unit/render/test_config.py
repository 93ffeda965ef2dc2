"""The effective configuration as TOML that says where each value comes from."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from swim_server.config import load

from swimctl.render.config import to_toml, toml_lines

_scalar = (
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
_value = st.recursive(
    _scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(_value)
def test_value_reads_back_as_it_was(value: Any) -> None:
    assert tomllib.loads(f"value = {to_toml(value)}")["value"] == value


def test_configuration_reads_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "swim.toml"
    path.write_text(
        '[server]\nport = 1\n[channels.families]\nweather = ["sigmet"]\n[[sources]]\nkind = "simulator"\n'
        '[[sources]]\nkind = "file"\npath = "/x"\n[expect.connections.owner]\n"v NAS" = { min = 1 }\n',
        "utf-8",
    )
    loaded = load(path, environ={"SWIM_LOGGING__LEVEL": "debug"}, home=tmp_path)
    values = msgspec.to_builtins(loaded.config)
    lines = list(toml_lines(values, {name: str(origin) for name, origin in loaded.origins.items()}))
    shown = tmp_path / "shown.toml"
    shown.write_text("\n".join(lines), "utf-8")
    assert load(shown, environ={}, home=tmp_path).config == loaded.config
    assert tomllib.loads("\n".join(toml_lines(values))) == tomllib.loads("\n".join(lines))
    told = {line.partition("=")[0].strip(): line.partition("#")[2].strip() for line in lines if line[:1] not in "#["}
    assert told["port"] == f"{path}, line 2"
    assert told["level"] == "SWIM_LOGGING__LEVEL"
    assert told["host"] == "default"
