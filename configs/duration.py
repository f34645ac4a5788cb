"""A length of time in the calendar: years, months, days, hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_PART = re.compile(r"(\d{1,6})\s*([ymwdh])", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"(?:\d{1,6}\s*[ymwdh]\s*)+", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Duration:
    """Years, months, days and hours, as restic's ``--keep-within`` counts them; a week is seven days.

    Months and years have no fixed length, so a duration is only ever subtracted from a moment.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return what ``1y6m``, ``2w``, ``14d`` or ``36h`` spells; ``m`` is months.

        Raises:
            ValueError: the text is no duration.
        """
        if _WHOLE.fullmatch(text.strip()) is None:
            msg = f"'{text}' is not a duration; write for example '36h', '14d', '2w', '6m' (months) or '1y'"
            raise ValueError(msg)
        amounts = dict.fromkeys("ymwdh", 0)
        for amount, unit in _PART.findall(text):
            amounts[unit.lower()] += int(amount)
        days = amounts["d"] + 7 * amounts["w"]
        return cls(years=amounts["y"], months=amounts["m"], days=days, hours=amounts["h"])

    def before(self, moment: datetime) -> datetime:
        """Return the moment this long before, never earlier than the year 1.

        A day that the earlier month lacks runs over into the next month (one month before 31 March is 3 March), as
        Go's ``time.AddDate`` has it, so that ``keep_within`` means what restic's ``--keep-within`` means.
        """
        month_index = (moment.year - self.years) * 12 + (moment.month - 1) - self.months
        year, month = divmod(month_index, 12)
        earliest = datetime.min.replace(tzinfo=moment.tzinfo)
        if year < 1:
            return earliest
        first = moment.replace(year=year, month=month + 1, day=1)
        try:
            return first + timedelta(days=moment.day - 1 - self.days, hours=-self.hours)
        except OverflowError:
            return earliest

    def __bool__(self) -> bool:
        return any((self.years, self.months, self.days, self.hours))

    def __str__(self) -> str:
        parts = (("y", self.years), ("m", self.months), ("d", self.days), ("h", self.hours))
        return "".join(f"{amount}{unit}" for unit, amount in parts if amount) or "0h"
