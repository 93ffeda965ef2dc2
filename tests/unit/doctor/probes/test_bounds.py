"""The bounds of requirements are what ``packaging`` makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version
from swim_server.daemon.requirements import requirements

from swimctl.doctor.probes.packages.bounds import bounds_of

NUMBERS = st.lists(st.integers(0, 20), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.one_of(NUMBERS, st.tuples(NUMBERS, st.sampled_from(["rc1", ".post1", ".dev2", "+local"])).map("".join))
LIMITS = st.lists(st.tuples(st.sampled_from([">=", "<=", "==", "!=", "<", ">", "~="]), VERSIONS), max_size=3)
MARKERS = st.sampled_from(
    [
        "", "; sys_platform != 'win32'", "; sys_platform == 'win32'", "; python_version >= '3.11'",
        "; platform_python_implementation == 'CPython' and sys_platform != 'win32'",
        "; sys_platform == 'win32' or sys_platform == 'linux'", '; sys_platform != "win32"',
    ]
)  # fmt: skip


@given(LIMITS, MARKERS, VERSIONS)
def test_a_version_is_within_its_bounds_as_packaging_says(
    limits: list[tuple[str, str]], marker: str, version: str
) -> None:
    text = f"some-package{','.join(map(''.join, limits))}{marker}"
    try:
        wanted = Requirement(text)
        Version(version)
    except ValueError:
        return
    found = bounds_of(text)
    assert (found is None) == (wanted.marker is not None and not wanted.marker.evaluate())
    if found is not None:
        assert found.name == wanted.name
        assert set(found.text.split(",")) == set(str(wanted.specifier).split(","))
        assert found.contains(version) == wanted.specifier.contains(version, prereleases=True)


def test_our_own_requirements_need_no_packaging() -> None:
    found = [bounds_of(text) for text in requirements()]
    assert len(found) > 10
    assert all(each is None or each.limits is not None for each in found)
