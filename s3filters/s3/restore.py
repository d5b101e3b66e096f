"""The language of RestoreObject: its document, when a restored copy ends, and how both are told.

Pure: what is archived, and who brings it back, is not known here. Sources: AWS API reference,
RestoreObject, HeadObject (``x-amz-restore``) and RestoreStatus; User Guide, "Restoring an archived
object" (how the end of a copy is rounded, what a second request may ask).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from s3filters.s3 import dates, xml
from s3filters.s3.errors import S3Error

TIERS = ("Bulk", "Standard", "Expedited")  # the slowest first
DEFAULT_TIER = "Standard"
DESCRIPTION_CHARACTERS = 1024

DAY_S = 86400
_LAST_DAY = 253402214400  # the last midnight that four digits of a year can say
_SELECT = ("SelectParameters", "OutputLocation")
_MEMBERS = ("Days", "GlacierJobParameters", "Type", "Tier", "Description", *_SELECT)
_is_days = re.compile(r"0*[1-9][0-9]{0,9}", re.ASCII).fullmatch
_MOST_DAYS = (1 << 31) - 1

# What Versity's gateway says of every object whose data are here: no date that means anything.
ALWAYS = 'ongoing-request="false", expiry-date="Fri, 2 Dec 2050 00:00:00 GMT"'
ONGOING = 'ongoing-request="true"'
NOT_ASKED = 'ongoing-request="false"'


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What a RestoreObject asks for. ``days`` is at least 1, ``tier`` one of TIERS."""

    days: int
    tier: str = DEFAULT_TIER
    description: str = ""


def parse(data: bytes) -> RestoreRequest:
    """Return the document of RestoreObject.

    Raise MalformedXML for anything that it cannot hold, also for no days at all, NotImplemented
    when it asks for a query instead of the object.
    """
    root = xml.parse(data, "RestoreRequest")
    xml.only(root, _MEMBERS)
    kind = xml.text_of(root, "Type") if root.find("Type") is not None else None
    if kind == "SELECT" or any(root.find(name) is not None for name in _SELECT):
        raise S3Error("NotImplemented", "Queries of archived objects are not implemented.")
    days = (xml.text_of(root, "Days") or "").strip()
    description = xml.text_of(root, "Description") or ""
    if kind is not None or not _is_days(days) or int(days) > _MOST_DAYS:
        raise S3Error("MalformedXML")
    if len(description) > DESCRIPTION_CHARACTERS:
        raise S3Error("MalformedXML")
    return RestoreRequest(int(days), _tier(root), description)


def _tier(root: Element) -> str:
    """Return the tier, which may stand in two places. Raise MalformedXML when they differ."""
    named = {xml.text_of(root, "Tier")}
    parameters = root.findall("GlacierJobParameters")
    if len(parameters) > 1:
        raise S3Error("MalformedXML")
    for element in parameters:
        xml.only(element, ("Tier",))
        named.add(xml.text_of(element, "Tier") or "")
    named.discard(None)
    tier = (named.pop() if named else DEFAULT_TIER) or ""
    if named or tier not in TIERS:
        raise S3Error("MalformedXML")
    return tier


def is_faster(tier: str, than: str) -> bool:
    """Whether an ongoing restore of one tier may be asked for again with the other."""
    return than not in TIERS or TIERS.index(tier) > TIERS.index(than)


def end_of(moment_s: float, days: int) -> int:
    """Return when a copy ends that was restored at a moment: the midnight (UTC) behind its days.

    Both are seconds since 1970.
    """
    return min((int(moment_s) // DAY_S + days + 1) * DAY_S, _LAST_DAY)


def until(end_s: int) -> str:
    """Return the ``x-amz-restore`` of an object that is restored until then."""
    return f'ongoing-request="false", expiry-date="{dates.http_date(end_s)}"'


def status_element(*, ongoing: bool, end_s: int) -> str:
    """Return the RestoreStatus of an entry of a listing; ``end_s`` counts when it is not ongoing.

    Of what was never asked for there is none.
    """
    if ongoing:
        return "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    return (
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        f"<RestoreExpiryDate>{dates.iso_date(end_s * 1_000_000_000)}</RestoreExpiryDate>"
        "</RestoreStatus>"
    )
