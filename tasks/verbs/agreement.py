"""Whether people agreed to a computer being wiped: from the lines of the ledger to the facts of the gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from configs.errors import ConfigError
from configs.maintenance import Approvals, MaintenancePlan
from inventory.model import Host
from tasks.policy.approval import Seat, Standing, Subject, seats, standing_of
from tasks.policy.gate import ApprovalFact, GateFacts
from tasks.verbs.accounts import same_account
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import people_of, plan_digest
from tasks.verbs.site_ledger import SiteLines


def who_agrees(context: Context, site: str, plan: MaintenancePlan | None) -> Approvals:
    """Return who must agree: as the plan says, but where the gate asks for an approval somebody must."""
    approvals = plan.approvals if plan is not None else Approvals()
    if approvals.by == "none" and context.config.gate_for(site).approval == "required":
        return Approvals()
    return approvals


def must_agree(context: Context, site: str, plan: MaintenancePlan | None) -> bool:
    """Return whether anybody has to agree: where no plan asks, only when the gate does."""
    if plan is None:
        return context.config.gate_for(site).approval == "required"
    return who_agrees(context, site, plan).by != "none"


def seats_of(context: Context, host: Host, plan: MaintenancePlan | None) -> tuple[Seat, ...]:
    """Return who must agree to a computer being wiped. Raises ``ConfigError`` when ``people.yaml`` is wrong."""
    approvals = who_agrees(context, host.site, plan)
    if approvals.by == "none":
        return ()
    return seats(approvals, host.teachers, host.site, people_of(context).people, same_account)


def subject_of(host: Host, plan: MaintenancePlan | None) -> Subject:
    """Return what people are asked about."""
    if plan is None:
        return Subject(host.name, tuple(host.groups), host.site)
    return Subject(host.name, tuple(host.groups), host.site, plan.name, plan_digest(plan))


def standing_by(
    context: Context, host: Host, plan: MaintenancePlan | None, ledger: SiteLines, now: datetime
) -> Standing:
    """Return where a computer stands by what is in the ledger; without a plan as if somebody must agree."""
    return standing_of(
        subject_of(host, plan), seats_of(context, host, plan), ledger.lines, now, problems=ledger.problems
    )


def with_people(
    context: Context, facts: GateFacts, host: Host, plan: MaintenancePlan | None, ledger: SiteLines, now: datetime
) -> GateFacts:
    """Return the facts with what people said. What cannot be known becomes a problem, and holds."""
    asked = must_agree(context, host.site, plan)
    try:
        if asked:
            found = standing_by(context, host, plan, ledger, now)
        else:
            found = standing_of(subject_of(host, plan), (), ledger.lines, now, problems=ledger.problems)
    except ConfigError as error:
        return replace(
            facts, problems=(*facts.problems, f"the file of people cannot be read: {' '.join(error.message.split())}")
        )
    approval = None
    if asked and found.agreed and found.until is not None:
        approval = ApprovalFact(" and ".join(found.by), found.until, host.name, plan.name if plan is not None else "")
    return replace(
        facts,
        holds=found.stops,
        plan=plan.name if plan is not None else "",
        plan_needs_approval=plan is not None and asked,
        approval=approval,
        missing=found.missing,
        override_until=found.override_until,
        problems=(*facts.problems, *found.problems),
    )
