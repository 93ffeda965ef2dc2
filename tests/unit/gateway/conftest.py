"""A gateway for each test; what a test leaves behind is checked at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.gateway_rig import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = await Rig().open()
    yield rig
    await rig.close()
