"""What another node may ask ``doctor`` here for: anything else is refused before a program is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from swim_server.daemon.nodes.doctor_method import DoctorMethod
from swim_server.gateway.rpc import INVALID_PARAMS, RpcError

if TYPE_CHECKING:
    from swim_server.daemon.components import Components


class NoParts:
    """Has nothing: what is refused at once touches no part of the service."""


@pytest.mark.parametrize(
    "params",
    [
        {"fix": True},
        {"only": ["host\0"]},
        {"skip": ["x" * 201]},
        {"only": ["host"] * 201},
        {"expect_version": "1\0"},
        {"expect_version": "1" * 200_000},
        {"timeout": "3; reboot"},
    ],
)
async def test_what_is_no_option_of_doctor_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(RpcError) as refused:
        await DoctorMethod(cast("Components", NoParts())).doctor(params)
    assert refused.value.code == INVALID_PARAMS
