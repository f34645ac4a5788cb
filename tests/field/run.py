"""Try the claims one after the other; nothing that goes wrong in one stops the others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from tasks.errors import FirstbellError
from tests.field import checks_files, checks_link, checks_people, checks_shadow, checks_start
from tests.field.bench import CHECKS, Bench
from tests.field.claims import CLAIMS, Claim
from tests.field.outcome import Document, Line, Outcome, failed, not_applicable
from tests.field.pc import ProbeError

#: The modules whose import registers the checks.
MODULES = (checks_link, checks_start, checks_files, checks_shadow, checks_people)

Told = Callable[[Line], None]


def chosen(numbers: Sequence[str]) -> list[Claim]:
    """Return the claims with these numbers, all without any. Raises ``ValueError`` for one that there is not."""
    if unknown := sorted(set(numbers) - {claim.number for claim in CLAIMS}):
        raise ValueError(f"there is no {', '.join(unknown)}")
    return [claim for claim in CLAIMS if not numbers or claim.number in numbers]


def run(bench: Bench, claims: Sequence[Claim], *, quick: bool = False, told: Told = lambda line: None) -> Document:
    """Try claims and clean up behind; ``told`` gets each line as it is done."""
    document = Document({})
    document.about = _about(bench)
    try:
        for claim in claims:
            started = time.monotonic()
            outcome = _one(bench, claim, quick)
            clean = Outcome(outcome.status, bench.scrubber.clean(outcome.evidence))
            line = Line(claim.number, clean, time.monotonic() - started)
            document.lines.append(line)
            told(line)
    finally:
        document.cleaned_up = _clean_up(bench)
        bench.close()
    return document


def _one(bench: Bench, claim: Claim, quick: bool) -> Outcome:
    if claim.only and claim.only != bench.pc.kind:
        return not_applicable(f"this computer is not reached by {claim.only}")
    if quick and claim.slow:
        return not_applicable("left out: --quick")
    try:
        return CHECKS[claim.number](bench)
    except ProbeError as error:
        return failed(f"could not be tried: {error}")
    except FirstbellError as error:
        outcome = failed(f"could not be tried: {error.message}")
    except Exception as error:
        # An answer of a shape that nobody expected is a finding, and must not cost the others.
        outcome = failed(f"could not be tried: {type(error).__name__}: {error}")
    # What broke once may stay broken: the next check starts anew.
    for end in (bench.end_helper, bench.pc.close):
        with contextlib.suppress(FirstbellError, OSError):
            end()
    return outcome


def _about(bench: Bench) -> dict[str, str]:
    try:
        about = bench.about()
    except (ProbeError, FirstbellError) as error:
        return {"computer": bench.scrubber.clean(f"does not answer: {error}"), "link": bench.pc.kind}
    edition = f"{about.get('product')} {about.get('release')}, {about.get('edition_id')}"
    told = {
        "Windows": f"{edition}, build {about.get('build')}",
        "language": str(about.get("culture")),
        "PowerShell": f"{about.get('powershell')} {about.get('edition')}",
        "link": bench.pc.kind,
        "account": "local" if about.get("local") else "of a domain",
    }
    return {key: bench.scrubber.clean(value) for key, value in told.items()}


def _clean_up(bench: Bench) -> str:
    """Remove the folder of this run; return what is left, for people."""
    bench.end_helper()
    try:
        told = bench.pc.ask("clean", {"folder": bench.folder})
    except (ProbeError, FirstbellError) as error:
        return bench.scrubber.clean(f"the folder firstbell-field-{bench.token} may be left: {error}")
    return f"the folder firstbell-field-{bench.token}" if told["there"] else "nothing"
