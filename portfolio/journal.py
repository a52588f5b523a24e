"""Record what happened, in one hash chain per user, and read what came after."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from brokers.batch_rows import insert_units, update_units
from portfolio.models import JournalEntry, JournalHead

GENESIS = "0" * 64
COLUMNS = (
    "user_id", "portfolio_id", "sequence", "name", "subject", "data", "actor", "cause", "at", "previous_hash", "hash"
)  # fmt: skip
AS_THEY_ARE = frozenset({str, int, bool, type(None)})
ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(slots=True, eq=False)
class Fact:
    """
    Something that happened, to be recorded.

    `cause` is the sequence of the entry that caused it, or another fact recorded in the same call. After
    `record` the fact knows its own `sequence`.
    """

    name: str
    subject: str
    user_id: int | None
    at: datetime
    actor: str
    data: Mapping[str, Any] = field(default_factory=dict)
    portfolio_id: int | None = None
    cause: "int | Fact | None" = None
    sequence: int | None = None


def record(facts: Sequence[Fact]) -> None:
    """
    Append facts to their users' chains, in the order given, inside the caller's transaction.

    The heads are locked in user order, last of all locks, and held until commit: a reader at sequence n can
    never miss n + 1. Raises TypeError when data holds a float.
    """
    if not facts:
        return
    by_user: dict[int | None, list[Fact]] = defaultdict(list)
    for fact in facts:
        by_user[fact.user_id].append(fact)
    rows: list[tuple[Any, ...]] = []
    heads = lock_heads(by_user)
    for user_id in sorted(by_user, key=lambda key: (key is not None, key or 0)):
        rows += chain(heads[user_id], by_user[user_id])
    insert_units(JournalEntry, COLUMNS, rows)
    moved = [(head.sequence, head.hash, head.pk) for head in heads.values()]
    update_units(JournalHead, ("sequence", "hash"), moved)


def lock_heads(user_ids: Iterable[int | None]) -> dict[int | None, JournalHead]:
    """Lock, and where missing create, the heads of these chains."""
    wanted = set(user_ids)
    named = [user_id for user_id in wanted if user_id is not None]
    JournalHead.objects.bulk_create(
        [JournalHead(user_id=user_id) for user_id in sorted(missing_heads(named))], ignore_conflicts=True
    )
    heads: dict[int | None, JournalHead] = {
        head.user_id: head
        for head in JournalHead.objects.select_for_update(no_key=True).filter(user_id__in=named).order_by("user_id")
    }
    if None in wanted:
        heads[None] = desk_head()
    return heads


def missing_heads(user_ids: Sequence[int]) -> set[int]:
    known = JournalHead.objects.filter(user_id__in=user_ids).values_list("user_id", flat=True)
    return set(user_ids) - set(known)


def desk_head() -> JournalHead:
    JournalHead.objects.bulk_create([JournalHead(user=None)], ignore_conflicts=True)
    return JournalHead.objects.select_for_update(no_key=True).get(user__isnull=True)


def chain(head: JournalHead, facts: Sequence[Fact]) -> list[tuple[Any, ...]]:
    """Give each fact its number and hash, move the head in memory, and return the rows to insert."""
    rows = []
    for fact in facts:
        fact.sequence = head.sequence + 1
        cause = fact.cause.sequence if isinstance(fact.cause, Fact) else fact.cause
        data, previous = plain(fact.data), head.hash
        head.sequence, head.hash = (
            fact.sequence,
            link(
                previous,
                encoded(
                    sequence=fact.sequence,
                    user=fact.user_id,
                    portfolio=fact.portfolio_id,
                    name=plain(fact.name),
                    subject=plain(fact.subject),
                    data=data,
                    actor=plain(fact.actor),
                    cause=cause,
                    at=plain(fact.at),
                ),
            ),
        )
        rows.append(
            (
                fact.user_id, fact.portfolio_id, fact.sequence, fact.name, fact.subject, data, fact.actor, cause,
                fact.at, previous, head.hash,
            )
        )  # fmt: skip
    return rows


def entry_hash(entry: JournalEntry, previous_hash: str) -> str:
    """Compute the hash an entry should have after `previous_hash`."""
    return link(
        previous_hash,
        canonical(
            sequence=entry.sequence,
            user=entry.user_id,
            portfolio=entry.portfolio_id,
            name=entry.name,
            subject=entry.subject,
            data=entry.data,
            actor=entry.actor,
            cause=entry.cause,
            at=entry.at,
        ),
    )


def link(previous_hash: str, content: bytes) -> str:
    """SHA-256 of the previous hash's 32 bytes followed by the canonical content."""
    return hashlib.sha256(bytes.fromhex(previous_hash) + content).hexdigest()


def canonical(**content: Any) -> bytes:
    """UTF-8 JSON, keys sorted, no spaces; decimals as strings, times ISO 8601 UTC with microseconds."""
    return encoded(**plain(content))


def encoded(**content: Any) -> bytes:
    """Write what is plain already."""
    return ENCODER.encode(content).encode()


def digest(**row: Any) -> str:
    """SHA-256 of a row's canonical form, so that the chain covers rows outside the journal."""
    return digest_of_plain(**plain(row))


def digest_of_plain(**row: Any) -> str:
    """The digest of a row that holds nothing but what JSON stores."""
    return hashlib.sha256(encoded(**row)).hexdigest()


def plain(value: Any) -> Any:
    """Turn a value into what JSON stores; floats are refused because they are not exact."""
    kind = type(value)
    if kind in AS_THEY_ARE:
        return value
    if kind is dict:
        return {key if type(key) is str else str(key): plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    return plain_other(value)


def plain_other(value: Any) -> Any:
    if isinstance(value, float):
        raise TypeError(f"The journal takes no floats: {value!r}.")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value if isinstance(value, int) else str(value)


def after(*, user_id: int, sequence: int, limit: int = 500) -> "QuerySet[JournalEntry]":
    """Return the entries of a user's chain that follow `sequence`, oldest first."""
    return JournalEntry.objects.filter(user_id=user_id, sequence__gt=sequence).order_by("sequence")[:limit]


def verify_chain(entries: Iterable[JournalEntry]) -> str | None:
    """
    Walk one chain from its first entry and name the first fault, or return None.

    Finds edits, gaps, removed and swapped rows; a cut-off tail is found by comparing heads and anchors.
    """
    previous, expected = GENESIS, 1
    for entry in entries:
        if entry.sequence != expected:
            return f"Entry {expected} is missing: after it comes {entry.sequence}."
        if entry.previous_hash != previous:
            return f"Entry {entry.sequence} does not follow entry {expected - 1}: the previous hash differs."
        if entry.hash != entry_hash(entry, previous):
            return f"Entry {entry.sequence} ({entry.name}) was changed: its hash does not match its content."
        previous, expected = entry.hash, expected + 1
    return None
