"""The audit trail of a station: who changed what, and who had which recipe loaded in place of which."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekd.station.events import Audited, Event
from edgekd.station.ports import Person, Who
from edgekd.station.recorder import Recorder
from edgekd.station.snapshot import Loaded


class Trail:
    """Puts changes into the audit trail, and tells whoever listens.

    Args:
        station: Whose changes, by name.
        recorder: Of the record.
        tell: Is told of each change.
    """

    def __init__(self, station: str, recorder: Recorder, tell: Callable[[Event], None]) -> None:
        self._station, self._recorder, self._tell = station, recorder, tell
        self._loading: tuple[str, Who] = ("configuration", "")
        self._judged_by = ""

    def note(
        self, action: str, source: str, who: Who = "", subject: str = "", old: str = "", new: str = "", why: str = ""
    ) -> None:
        """Notes a change of this station, without waiting until it is written.

        Args:
            action: What, such as "reset counters".
            source: The counterpart that asked for it, such as "modbus".
            who: The person, where one is known.
            subject: Of what at the station; "" for the station itself.
            old: What was before.
            new: What is since.
            why: The reason.
        """
        subject = f"{self._station}: {subject}" if subject else self._station
        person = who if isinstance(who, Person) else Person(who or source, "", source)
        self._recorder.add(self._entry(person, action, subject, old, new, why))
        self._tell(Audited(person.name, action, subject))

    async def write(self, person: Person, action: str, subject: str, old: str, new: str, why: str) -> bool:
        """Notes a change that was made elsewhere, such as a user's. Returns whether it is written."""
        written = await self._recorder.put(self._entry(person, action, subject, old, new, why))
        if written:
            self._tell(Audited(person.name, action, subject))
        return written

    def expect_loading(self, source: str, who: Who) -> None:
        """Remembers who asked for what is loaded next."""
        self._loading = source, who

    def note_recipe(self, recipe: Loaded) -> None:
        """Notes which revision judges, and who asked for it, where it is another than before."""
        before, self._judged_by = self._judged_by, f"{recipe.recipe_id}/{recipe.revision}, digest {recipe.digest}"
        if self._judged_by != before:
            self.note("load recipe", *self._loading, subject=f"job {recipe.job}", old=before, new=self._judged_by)

    def _entry(self, person: Person, action: str, subject: str, old: str, new: str, why: str) -> Callable[[], object]:
        audit = self._recorder.record.audit
        return partial(audit, person.name, person.role, person.address, action, subject, old, new, why)
