"""Faults of nodes that share a Redis server: each is reported at its root, nothing else is, and the advice mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.doctor_faults_nodes import NODES_FAULTS, NodesFault, Ward, judge_nodes
from support.redis_server import redis_server


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with redis_server() as server:
        ward = Ward(tmp_path_factory.mktemp("ward"), server)
        try:
            ward.start()
            ward.await_well("a good report")
            yield ward
        finally:
            ward.finish()


@pytest.mark.parametrize(
    "fault", [one for one in NODES_FAULTS if not one.is_long], ids=lambda fault: fault.name.replace(" ", "-")
)
def test_fault_of_nodes_fires_its_checks_and_no_others(fault: NodesFault, ward: Ward) -> None:
    judge_nodes(fault, ward, "--only", "nodes")


@pytest.mark.long
@pytest.mark.parametrize("fault", NODES_FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_of_nodes_is_the_root_of_what_the_whole_doctor_finds(fault: NodesFault, ward: Ward) -> None:
    judge_nodes(fault, ward)
