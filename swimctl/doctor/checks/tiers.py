"""The tiers' limits: in force as configured, and not exhausted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swimctl.doctor.check import Answer, Check, fail, ok, warn
from swimctl.doctor.probes.daemon_facts import expecting, promises
from swimctl.doctor.probes.tier_trial import TRIAL_SECONDS, limit_holds

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.diagnostics import TierPromise

    from swimctl.doctor.context import DoctorContext

NEAR_SHARE = 0.9
FIELDS = ("connections", "connections_per_key", "messages_per_second")
TIERS = ("public", "developer", "partner", "system")


@expecting("the process applies the configured limits")
async def in_force(context: DoctorContext) -> Answer:
    """Check that process, configuration and table agree; report where the configuration deliberately differs."""
    from swim_server.config import TiersConfig

    found = (await promises(context)).tiers
    configured, table = (await context.loaded()).config.tiers, TiersConfig()
    expected = ", ".join(f"{tier} {getattr(configured, tier).connections}" for tier in TIERS)
    wrong = [line for tier in TIERS for line in _differences(tier, found.get(tier), getattr(configured, tier))]
    if wrong:
        return fail(expected, "; ".join(wrong), *wrong, fix="swimctl reload")
    chosen = [
        f"{tier}.{field}: the configuration says {_of(configured, tier, field)}, the table {_of(table, tier, field)}"
        for tier in TIERS
        for field in FIELDS
        if _of(configured, tier, field) != _of(table, tier, field)
    ]
    told = " (not the table's numbers, as configured)" if chosen else ""
    return ok(expected, f"the process applies them{told}", *chosen)


def _of(tiers: object, tier: str, field: str) -> Any:
    return getattr(getattr(tiers, tier), field)


def _differences(tier: str, found: TierPromise | None, configured: object) -> list[str]:
    if found is None:
        return [f"{tier}: the process knows no such tier"]
    return [
        f"{tier}.{field}: the process applies {getattr(found, field)}, configured is {getattr(configured, field)}"
        for field in FIELDS
        if getattr(found, field) != getattr(configured, field)
    ]


@expecting("room in every tier")
async def room(context: DoctorContext) -> Answer:
    """Check that no client is refused for lack of room, now or with the next few clients."""
    found = (await promises(context)).tiers
    expected = f"less than {NEAR_SHARE:.0%} of each tier in use"
    near = {tier: each for tier, each in found.items() if each.current >= NEAR_SHARE * each.connections}
    if not near:
        return ok(expected, ", ".join(f"{tier} {each.current}/{each.connections}" for tier, each in found.items()))
    told = [_crowded(tier, each) for tier, each in near.items()]
    return warn(expected, "; ".join(told), *told, fix=f"swimctl connections list --tier {next(iter(near))}")


def _crowded(tier: str, promise: TierPromise) -> str:
    full = ": full, clients are refused" if promise.current >= promise.connections else ""
    if promise.current > promise.connections:
        full = ": the limit was lowered below the number of connections; none is closed, and none admitted"
    return f"{tier} {promise.current}/{promise.connections}{full}"


def _trial(tier: str) -> Check:
    async def ask(context: DoctorContext) -> Answer:
        return await limit_holds(context, tier)

    return Check(
        id=f"tiers.{tier}-limit-holds",
        summary=f"Tier {tier} admits as many as configured, and not one more",
        ask=expecting("that many are admitted, and the next one is refused")(ask),
        needs=("process.answers", "tiers.in-force"),
        is_deep=True,
        timeout_seconds=TRIAL_SECONDS,
    )


CHECKS: tuple[Check, ...] = (
    Check(
        id="tiers.in-force",
        summary="The process applies the configured limits",
        ask=in_force,
        needs=("process.answers", "config.valid"),
    ),
    Check(id="tiers.room", summary="No tier is full, or nearly so", ask=room, needs=("process.answers",)),
    *(_trial(tier) for tier in TIERS),
)
