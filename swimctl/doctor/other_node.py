"""``swimctl doctor --node``: the checks run on that node's machine, asked for through the shared stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from swimctl.client.nodes import call_on
from swimctl.client.session import RpcFailed
from swimctl.doctor.check import Result
from swimctl.doctor.report import Report
from swimctl.errors import CommandFailed, ExitCode, WrongUsage

if TYPE_CHECKING:
    from swimctl.doctor.request import Request
    from swimctl.invocation import Invocation

ASK_SECONDS = 110.0
"""A run takes three seconds; on a machine that has much to do, many more."""
INVALID_PARAMS = -32602


class _Document(msgspec.Struct, kw_only=True):
    """A report as ``--json`` prints it."""

    subject: str
    seconds: float
    checks: tuple[Result, ...]


class _Answered(msgspec.Struct, kw_only=True):
    code: int
    report: _Document


def examine(invocation: Invocation, request: Request, node: str) -> Report:
    """Have a node examine itself; return its report. Raises CommandError."""
    params: dict[str, Any] = {
        "only": request.only, "skip": request.skip, "strict": request.strict,
        "expect_version": request.expect_version, "timeout": request.timeout,
    }  # fmt: skip
    with invocation.connect() as control:
        try:
            answer = call_on(control, node, "doctor", params, seconds=ASK_SECONDS)
        except RpcFailed as failed:
            if failed.code == INVALID_PARAMS:
                raise WrongUsage(f"node {node}: {failed.problem}", "all checks: swimctl doctor --list") from None
            raise
    try:
        found = msgspec.convert(answer, _Answered)
    except msgspec.ValidationError as error:
        told = f"the report of node {node} can't be read, as by another version: {error}"
        raise CommandFailed(told, "run doctor on that node") from None
    return Report(
        subject=f"node {node}: {found.report.subject}",
        results=found.report.checks,
        order=_order(),
        seconds=found.report.seconds,
        is_strict=request.strict,
        is_absent=found.code == ExitCode.NOT_RUNNING,
    )


def _order() -> tuple[str, ...]:
    from swimctl.doctor.catalogue import all_checks
    from swimctl.doctor.graph import Graph

    return Graph(all_checks()).order
