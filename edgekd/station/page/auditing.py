"""What the page has put into the audit trail, by control: the page itself never writes the record."""

from __future__ import annotations

import logging

from edgekd.errors import one_line
from edgekd.station.page.context import Page
from edgekd.station.page.link import RefusedError
from edgekd.station.page.roles import User

logger = logging.getLogger(__name__)


async def note(page: Page, user: User, action: str, subject: str, old: str = "", new: str = "", why: str = "") -> None:
    """Puts a change on record; what belongs to no station stands under the first one.

    Args:
        page: Whose control is asked.
        user: Who makes the change.
        action: What, such as "add user".
        subject: Of what.
        old: What was before.
        new: What is since.
        why: The reason.

    Raises:
        RefusedError: It was not put on record.
        TimeoutError: Control does not answer.
    """
    station = page.link.stations[0]
    await page.link.ask(station, "audit", user, action=action, subject=subject, old=old, new=new, why=why)


async def note_if_possible(page: Page, user: User, action: str, subject: str, new: str = "") -> None:
    """Puts something on record that is not held up where that fails, such as a login; the log has it then.

    Args:
        page, user, action, subject, new: As of `note`.
    """
    try:
        await note(page, user, action, subject, new=new)
    except (RefusedError, TimeoutError, OSError) as error:
        logger.warning("not in the audit trail: %s %s by %s: %s", action, subject, user.name, one_line(error))
