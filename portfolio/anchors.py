"""
Signed heads of the journal chains, so that a cut-off tail is found out.

A chain alone cannot tell that its last entries are gone. Each anchor therefore stands in the table, signed
with ANCHOR_KEY, and as a line of an append-only file in the data folder.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from portfolio.models import Anchor, JournalEntry, JournalHead

FILE_NAME = "anchors.jsonl"


def write(*, now: datetime) -> int:
    """Anchor every chain that has grown since its last anchor; return how many did."""
    with transaction.atomic():
        # Locked before the anchors are read, so that of two sweeps at once the second finds nothing to do.
        heads = list(JournalHead.objects.select_for_update(no_key=True).filter(sequence__gt=0).order_by("user_id"))
        known = {(anchor.user_id, anchor.sequence) for anchor in Anchor.objects.all()}
        fresh = [
            Anchor(
                user_id=head.user_id,
                sequence=head.sequence,
                hash=head.hash,
                at=now,
                signature=signature(user_id=head.user_id, sequence=head.sequence, head_hash=head.hash),
            )
            for head in heads
            if (head.user_id, head.sequence) not in known
        ]
        Anchor.objects.bulk_create(fresh)
        append_lines(fresh)
    return len(fresh)


def append_lines(anchors: list[Anchor]) -> None:
    if not anchors:
        return
    with file_path().open("a") as file:
        for anchor in anchors:
            line = {
                "user": anchor.user_id,
                "sequence": anchor.sequence,
                "hash": anchor.hash,
                "at": anchor.at.isoformat(),
                "signature": anchor.signature,
            }
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def file_path() -> Path:
    return Path(settings.DATA_FOLDER) / FILE_NAME


def signature(*, user_id: int | None, sequence: int, head_hash: str) -> str:
    """HMAC-SHA-256 with ANCHOR_KEY over user, sequence and hash."""
    key = base64.b64decode(settings.ANCHOR_KEY)
    return hmac.new(key, f"{user_id}|{sequence}|{head_hash}".encode(), hashlib.sha256).hexdigest()


def faults() -> list[str]:
    """Compare every anchor, in the table and in the file, with the chain; name what does not fit."""
    lines, found = file_anchors()
    for user_id, sequence, head_hash, signed in [*table_anchors(), *lines]:
        who = "the desk's chain" if user_id is None else f"the chain of user {user_id}"
        if not hmac.compare_digest(signed, signature(user_id=user_id, sequence=sequence, head_hash=head_hash)):
            found.append(f"The anchor at entry {sequence} of {who} is not signed with this desk's key.")
            continue
        entry = JournalEntry.objects.filter(user_id=user_id, sequence=sequence).first()
        if entry is None:
            found.append(f"Entry {sequence} of {who} was anchored and is gone: the end was cut off.")
        elif entry.hash != head_hash:
            found.append(f"Entry {sequence} of {who} is not the one that was anchored.")
    return found


def table_anchors() -> list[tuple[int | None, int, str, str]]:
    return list(Anchor.objects.order_by("pk").values_list("user_id", "sequence", "hash", "signature"))


def file_anchors() -> tuple[list[tuple[int | None, int, str, str]], list[str]]:
    """Read the anchor file; the second list names lines that are no anchors, such as one torn by a crash."""
    if not file_path().exists():
        return [], []
    found, faults = [], []
    for number, text in enumerate(file_path().read_text().splitlines(), start=1):
        try:
            line = json.loads(text)
            found.append((line["user"], line["sequence"], line["hash"], line["signature"]))
        except (ValueError, KeyError, TypeError):
            faults.append(f"Line {number} of {FILE_NAME} is not an anchor.")
    return found, faults
