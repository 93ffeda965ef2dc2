"""A rig for each test; at its end nothing may have failed unnoticed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.streaming_rig import StreamingRig


@pytest.fixture
async def rig() -> AsyncIterator[StreamingRig]:
    rig = StreamingRig()
    yield rig
    await rig.close()
    assert not rig.failures
