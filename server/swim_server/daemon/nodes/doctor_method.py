"""Runs ``swimctl doctor`` here for another node: only a process of this machine can look at its files and its unit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from swim_server.daemon.desk.doctor_runs import last_line, run_doctor
from swim_server.gateway.rpc import INVALID_PARAMS, UNAVAILABLE, RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swim_server.daemon.components import Components
    from swim_server.gateway.rpc import Rpc

WRONG_USAGE = 2


class DoctorAnswer(msgspec.Struct, kw_only=True):
    """The answer to ``doctor``."""

    code: int
    """The exit code."""
    report: msgspec.Raw
    """What ``doctor --json`` printed."""


_Word = Annotated[str, Meta(max_length=200, pattern=r"\A[^\0]*\Z")]
"""What the system takes as a word of a command: without a zero byte, and not too long."""
_Words = Annotated[list[_Word], Meta(max_length=200)]


class _Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    only: _Words = []
    skip: _Words = []
    strict: bool = False
    expect_version: _Word | None = None
    timeout: float | None = None

    def options(self) -> list[str]:
        """Return them as typed. Each value stands behind its option's sign, so that it can't be taken for an option."""
        values = {"only": self.only, "skip": self.skip}
        options = [f"--{name}={value}" for name, every in values.items() for value in every]
        if self.strict:
            options.append("--strict")
        if self.expect_version is not None:
            options.append(f"--expect-version={self.expect_version}")
        if self.timeout is not None:
            options.append(f"--timeout={self.timeout}")
        return ["--json", *options]


class DoctorMethod:
    """One run at a time; it only looks: nothing is fixed and no load is made."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()

    def register(self, rpc: Rpc) -> None:
        """Register the method."""
        rpc.methods["doctor"] = self.doctor

    async def doctor(self, params: Mapping[str, object]) -> DoctorAnswer:
        """Run the checks asked for on this machine; answer the report."""
        try:
            wanted = msgspec.convert(params, _Options)
        except msgspec.ValidationError as error:
            raise RpcError(INVALID_PARAMS, str(error)) from None
        home: Path = self._parts.home.path
        async with self._turn:
            try:
                done = await run_doctor(home, self._parts.config.files, wanted.options())
            except TimeoutError:
                raise RpcError(UNAVAILABLE, "doctor was not done in time on that node") from None
        if done.code == WRONG_USAGE:
            raise RpcError(INVALID_PARAMS, last_line(done.errors))
        if done.code is None or not done.output.strip():
            raise RpcError(UNAVAILABLE, f"doctor gave no verdict on that node: {last_line(done.errors)}")
        return DoctorAnswer(code=done.code, report=msgspec.Raw(done.output.strip()))
