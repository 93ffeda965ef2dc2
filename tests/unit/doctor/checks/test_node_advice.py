"""Commands that are to be typed name a node as one word, whatever name stands on the shared server."""

from __future__ import annotations

import shlex

import pytest

from swimctl.doctor.checks.nodes.presence import _examine


@pytest.mark.parametrize("name", ["swim-2", "swim 2", "swim; reboot", "$(reboot)"])
def test_a_node_is_named_as_one_word(name: str) -> None:
    assert shlex.split(_examine(name, "swim-1").command) == ["swimctl", "doctor", "--node", name]
