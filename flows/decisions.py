"""What people decide, in the Prefect UI: each proves with a code who they are, since the UI has one login for all.

What is typed into a form can be read by everybody who may log in. So a code must be used up when the run ends: by the
answer, or else by taking it back. The next code is never shown here, but mailed to its person, or told by IT.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from configs.errors import ConfigError, FirstbellError
from flows import decision_forms as forms
from flows.events import emit_answer
from flows.forms import OptionalText, OptionalTexts
from tasks.answers import Decision, ScopeKind
from tasks.errors import AnswerRefused
from tasks.reports.units import local_day_time
from tasks.verbs import decisions, holds
from tasks.verbs.code_letters import mail_codes
from tasks.verbs.codes import Invitation, void_code
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import plan_of, zone_of
from tasks.worker import load_context

_DECISIONS: Final = {
    forms.YourAnswer.NO: Decision.REFUSE,
    forms.YourAnswer.LATER: Decision.DEFER,
    forms.YourAnswer.YES: Decision.APPROVE,
}
_SCOPES: Final[dict[forms.HoldWhat, ScopeKind]] = {
    forms.HoldWhat.COMPUTER: "host",
    forms.HoldWhat.ROOM: "group",
    forms.HoldWhat.SCHOOL: "site",
}


@flow(name="answer-maintenance", flow_run_name="an answer", persist_result=False)
def answer_maintenance(
    code: str = forms.CODE,
    answer: forms.YourAnswer = forms.ANSWER,
    not_before: OptionalText = forms.LATER,
    reason: OptionalText = forms.WHY,
    computers: OptionalTexts = forms.ONLY,
) -> State[Any]:
    """Say with your code whether your computers may be wiped: no, later, or yes.

    Without an answer nothing is wiped. You can change your mind until it begins, with the next code, which comes by
    mail or from IT.
    """
    context = None
    try:
        context = load_context()
        found = decisions.decide(
            context,
            code=code,
            decision=_DECISIONS[answer],
            until=day(not_before) if (not_before or "").strip() else None,
            reason=reason or "",
            hosts=[one.strip() for one in computers or () if one.strip()] or None,
        )
    except FirstbellError as error:
        return _failed(context, error, [code])
    emit_answer(found.site, plan=found.plan)
    zone = zone_of(context, found.site)
    hosts = ", ".join(found.hosts)
    said = {
        Decision.APPROVE: f"{found.name} agreed: {hosts}",
        Decision.DEFER: f"{found.name} put it off until {local_day_time(found.until, zone)}: {hosts}",
        Decision.REFUSE: f"{found.name} refused: {hosts} will not be wiped",
    }[found.decision]
    following = _pass_on(context, [found.following])
    if found.cleared:
        late = ", ".join(found.cleared)
        return Failed(message=f"{said}. CALL IT NOW: {late} may be wiped at this very moment. {following}")
    return Completed(message=f"{said}. {following}")


@flow(name="place-hold", flow_run_name="hold {name}", persist_result=False)
def place_hold(
    code: str = forms.OWN_CODE,
    what: forms.HoldWhat = forms.HOLD_WHAT,
    name: OptionalText = forms.HOLD_NAME,
    until: str = forms.HOLD_UNTIL,
    reason: str = forms.HOLD_WHY,
) -> State[Any]:
    """Keep computers from being wiped until a day. IT cannot lift this alone: only you can, or two people together."""
    context = None
    try:
        context = load_context()
        placed = holds.place_hold(
            context, code=code, scope=_SCOPES[what], target=(name or "").strip(), until=day(until), reason=reason
        )
    except FirstbellError as error:
        return _failed(context, error, [code])
    return Completed(
        message=f"Hold {placed.number} stands until {until.strip()}. {_pass_on(context, placed.following)}"
    )


@flow(name="lift-hold", flow_run_name="lift hold {hold}", persist_result=False)
def lift_hold(
    code: str = forms.OWN_CODE, hold: int = forms.HOLD_NUMBER, reason: OptionalText = forms.WHY
) -> State[Any]:
    """Take a hold of your own back. Somebody else's hold can only be gone past by two people, with an override."""
    context = None
    try:
        context = load_context()
        lifted = holds.lift_hold(context, code=code, hold=hold, reason=reason or "")
    except FirstbellError as error:
        return _failed(context, error, [code])
    return Completed(message=f"Hold {hold} is lifted. {_pass_on(context, lifted.following)}")


@flow(name="override", flow_run_name="an override", persist_result=False)
def override_refusal(
    first_code: str = forms.FIRST_CODE,
    second_code: str = forms.SECOND_CODE,
    computers: list[str] = forms.COMPUTERS,
    plan: OptionalText = forms.OVERRIDE_PLAN,
    reason: str = forms.OVERRIDE_WHY,
) -> State[Any]:
    """Go past what stands against wiping computers: two people with the role 'override' together, and a reason.

    Past what stands now; what a teacher or an educator says later holds again. Nothing else about the gate changes.
    """
    context = None
    codes = [first_code, second_code]
    try:
        context = load_context()
        name = (plan or "").strip()
        placed = holds.override(
            context,
            codes=codes,
            hosts=[one.strip() for one in computers if one.strip()],
            reason=reason,
            plan=plan_of(context, name) if name else None,
        )
    except FirstbellError as error:
        return _failed(context, error, codes)
    past = "; ".join(placed.past)
    return Completed(
        message=f"Override, line {placed.number} of the ledger. Past: {past}. {_pass_on(context, placed.following)}"
    )


def day(text: str | None) -> datetime:
    """Return the beginning of a day that somebody typed, by the school's clock. Raises ``ConfigError``."""
    typed = (text or "").strip()
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%d.%m.%Y"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(typed, form)  # noqa: DTZ007 - the school's clock is added by the verb
    raise ConfigError(f"'{typed}' is no day", hint="Write it like 2026-09-03.")


def _pass_on(context: Context, following: Sequence[Invitation]) -> str:
    """Send people their next codes, and return in words how they get them."""
    try:
        told = mail_codes(context, following)
    except FirstbellError:
        told = [(one.name, "not sent") for one in following]
    waiting = [name for name, problem in told if problem]
    if not waiting:
        return "The code is used up; the next one is on its way by mail."
    return f"The code is used up; {' and '.join(waiting)} can get the next one from IT."


def _failed(context: Context | None, error: FirstbellError, codes: Sequence[str]) -> State[Any]:
    """Return the failure of a run whose form shows codes that may still be good: they are taken back."""
    text = f"{error.message}. {error.hint}".rstrip(" .") + "."
    left = context is None
    for code in codes:
        if context is None:
            break
        try:
            following = void_code(context, code)
        except AnswerRefused:
            # It was no code, or is used up.
            continue
        except FirstbellError:
            left = True
        else:
            text += f" Nothing was decided. {_pass_on(context, [following])}"
    if left:
        text += " The code may still be good, and can be read here: IT must void it (firstbell codes void)."
    return Failed(message=text)
