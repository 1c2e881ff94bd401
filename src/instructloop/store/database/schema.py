"""The tables. What is here is what the newest migration makes: a test compares the two.

    people      accounts ─ sessions, api_keys, invitations, qualifications, acknowledgements, audit
    prompts     prompts ─ consents; answers (generations and candidates) ─ reactions
    labeling    guides, queues ─ tasks ─ leases ─ drafts, submissions ─ labels, spot_checks
    screening   screenings, self_assessments, demonstration_ratings
    training    models, snapshots ─ snapshot_rows
    work        jobs

Rows of submissions, labels, consents and audit are only ever added, but for texts that their author has erased.
"""

from datetime import datetime

import sqlalchemy as sa

from instructloop.store.database.moments import Moment

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Column = sa.Column


def _id() -> Column[str]:
    return Column("id", sa.Text, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, sa.Text, nullable=nullable)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, sa.Integer, nullable=False, default=default)


def _yes_or_no(name: str) -> Column[bool]:
    return Column(name, sa.Boolean, nullable=False, default=False)


def _moment(name: str, *, nullable: bool = True) -> Column[datetime]:
    return Column(name, Moment, nullable=nullable)


def _json(name: str) -> Column[object]:
    return Column(name, sa.JSON(none_as_null=True))


def _at_most_one(name: str, condition: str, *columns: str) -> sa.Index:
    """Rows for which the condition holds do not agree in these columns."""
    return sa.Index(name, *columns, unique=True, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _of(name: str, table: str, *, nullable: bool = False) -> Column[str]:
    """A column that names a row of another table."""
    return Column(name, sa.Text, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def _before(name: str, table: str) -> Column[str]:
    """A column that names an earlier row of the same table; looked at when a transaction ends, so that rows can be copied in any order."""
    return Column(name, sa.Text, sa.ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED"), nullable=True)


accounts = sa.Table(
    "accounts", METADATA, _id(), _text("name"), _text("role"), _text("password_hash", nullable=True), _yes_or_no("held_out"),
    _moment("created_at", nullable=False), _moment("disabled_at"), sa.UniqueConstraint("name"),
)  # fmt: skip
"""People. `held_out`: a labeler whose labels never train. `role`: see `roles.Role`."""

sessions = sa.Table(
    "sessions", METADATA, _id(), _text("token_hash"), _of("account_id", "accounts"), _text("client"),
    _moment("created_at", nullable=False), _moment("expires_at", nullable=False), _moment("revoked_at"),
    sa.UniqueConstraint("token_hash"), sa.Index(None, "account_id"),
)  # fmt: skip

api_keys = sa.Table(
    "api_keys", METADATA, _id(), _text("key_hash"), _text("shown"), _text("name"), _of("account_id", "accounts"), _json("scopes"),
    _yes_or_no("may_store"), _yes_or_no("may_train"), _text("consent", nullable=True),
    _moment("created_at", nullable=False), _moment("last_used_at"), _moment("revoked_at"),
    sa.UniqueConstraint("key_hash"), sa.Index(None, "account_id"),
)  # fmt: skip
"""`shown`: the first characters of the key, by which its owner knows it again. `may_*` and `consent`: what the owner allows to be
done with prompts that come with the key, and the version of the notice they read."""

invitations = sa.Table(
    "invitations", METADATA, _id(), _text("token_hash"), _text("role"), _yes_or_no("held_out"), _of("invited_by", "accounts", nullable=True),
    _moment("created_at", nullable=False), _moment("expires_at", nullable=False), _moment("used_at"), _moment("revoked_at"),
    _of("account_id", "accounts", nullable=True), sa.UniqueConstraint("token_hash"),
)  # fmt: skip
"""`invited_by` is null for the link of the first administrator; `account_id` is the account it became."""

audit = sa.Table(
    "audit", METADATA, _id(), _moment("at", nullable=False), _of("account_id", "accounts", nullable=True), _text("action"),
    _text("object_kind"), _text("object_id"), _json("details"), sa.Index(None, "at"),
)  # fmt: skip

prompts = sa.Table(
    "prompts", METADATA, _id(), _text("text", nullable=True), _text("text_hash"), _text("user_id"), _of("account_id", "accounts", nullable=True),
    _text("curated_text", nullable=True), _before("derived_from", "prompts"), _text("source"),
    _text("kind", nullable=True), _text("use_case", nullable=True), _yes_or_no("may_store"), _yes_or_no("may_train"),
    _text("consent", nullable=True), _json("content"), _json("provenance"), _moment("created_at", nullable=False), _moment("erased_at"),
    sa.Index(None, "user_id"), sa.Index(None, "account_id"), sa.Index(None, "created_at"), sa.Index(None, "derived_from"),
)  # fmt: skip
"""`user_id`: by which caps and splits count; `curated_text`: what labelers see and models learn from where curation has changed the
text; `derived_from`: the few-shot prompt that this one is a part of; `may_*`: the last word of `consents`; `content`: the parts of a
few-shot prompt."""

consents = sa.Table(
    "consents", METADATA, _id(), _of("prompt_id", "prompts"), _of("account_id", "accounts", nullable=True), _yes_or_no("may_store"),
    _yes_or_no("may_train"), _text("version", nullable=True), _moment("at", nullable=False), sa.Index(None, "prompt_id"),
)  # fmt: skip
"""`version`: of the notice that was shown, or the licence that an import names."""

answers = sa.Table(
    "answers", METADATA, Column("prompt_id", sa.Text, sa.ForeignKey("prompts.id"), primary_key=True), _id(), _text("text", nullable=True),
    _text("text_hash"), _text("source"), _text("model_id", nullable=True), _json("token_ids"), _json("sampling"),
    _text("finish_reason", nullable=True), _json("provenance"), _moment("created_at", nullable=False), _moment("erased_at"),
)  # fmt: skip
"""Answers of models: what the playground showed, candidates to rank, imports. An answer's id counts within its prompt."""

reactions = sa.Table(
    "reactions", METADATA, _id(), _of("prompt_id", "prompts"), _of("account_id", "accounts"), _text("kind"), _json("body"),
    _moment("at", nullable=False), sa.Index(None, "prompt_id"),
)  # fmt: skip
"""Thumbs and comparisons of playground users, apart from what labelers say."""

guides = sa.Table(
    "guides", METADATA, _id(), _text("name"), _number("version"), _text("mode"), _text("text"),
    _moment("created_at", nullable=False), sa.UniqueConstraint("name", "version"),
)  # fmt: skip

acknowledgements = sa.Table(
    "acknowledgements", METADATA, Column("guide_id", sa.Text, sa.ForeignKey("guides.id"), primary_key=True),
    Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True), _moment("at", nullable=False),
)  # fmt: skip

queues = sa.Table(
    "queues", METADATA, _id(), _text("name"), _text("kind"), _text("mode"), _of("guide_id", "guides", nullable=True), _number("overlap", 1),
    Column("gold_rate", sa.Float, nullable=False, default=0.0), Column("repeat_rate", sa.Float, nullable=False, default=0.0),
    _number("skips_to_review", 3), _number("lease_seconds", 1800), _number("revise_seconds", 86400), _yes_or_no("open"),
    _yes_or_no("needs_qualification"), _moment("created_at", nullable=False), sa.UniqueConstraint("name"),
)  # fmt: skip

qualifications = sa.Table(
    "qualifications", METADATA, Column("queue_id", sa.Text, sa.ForeignKey("queues.id"), primary_key=True),
    Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True), _moment("at", nullable=False),
)  # fmt: skip

tasks = sa.Table(
    "tasks", METADATA, _id(), _of("queue_id", "queues"), _of("prompt_id", "prompts", nullable=True), _text("author", nullable=True),
    _json("payload"), _text("state"), _number("overlap", 1), _number("assigned"), _number("submitted"), _number("skipped"),
    _json("gold"), _yes_or_no("is_gold"), _number("position"), _moment("created_at", nullable=False),
    sa.CheckConstraint("assigned >= 0 AND (is_gold OR assigned <= overlap)", name="never_over_assigned"),
    sa.Index(None, "queue_id", "state", "is_gold", "position", "created_at", "id"), sa.Index(None, "prompt_id"),
)  # fmt: skip
"""`assigned` counts active leases and first submissions: it is what keeps a task from being given to too many."""

leases = sa.Table(
    "leases", METADATA, _id(), _of("task_id", "tasks"), _of("account_id", "accounts"), _text("purpose"), _text("state"), _json("shown"),
    _of("guide_id", "guides", nullable=True), _text("reason", nullable=True), _moment("taken_at", nullable=False),
    _moment("expires_at", nullable=False), _moment("ended_at"),
    sa.Index(None, "account_id", "task_id"), sa.Index(None, "task_id"), sa.Index(None, "state", "expires_at"),
    _at_most_one("uq_leases_active", "state = 'active'", "task_id", "account_id"),
)  # fmt: skip
"""`purpose`: label, gold or repeat; `shown`: the order in which this person sees the answers."""

drafts = sa.Table(
    "drafts", METADATA, Column("lease_id", sa.Text, sa.ForeignKey("leases.id"), primary_key=True), _number("version", 1),
    _json("body"), _moment("saved_at", nullable=False),
)  # fmt: skip

submissions = sa.Table(
    "submissions", METADATA, _id(), _text("key"), _of("task_id", "tasks"), _of("lease_id", "leases"), _of("account_id", "accounts"),
    _text("purpose"), _before("revises", "submissions"), _json("body"), _json("work"), _of("guide_id", "guides", nullable=True),
    _moment("at", nullable=False), sa.UniqueConstraint("account_id", "key"), sa.UniqueConstraint("revises"),
    sa.Index(None, "task_id"), sa.Index(None, "lease_id"), _at_most_one("uq_submissions_first", "revises IS NULL", "lease_id"),
)  # fmt: skip
"""`key`: the idempotency key; `work`: seconds spent, share of pasted text; `revises`: the submission this one replaces."""

labels = sa.Table(
    "labels", METADATA, _id(), _text("kind"), _of("prompt_id", "prompts"), _text("answer_id", nullable=True), _text("labeler_id"),
    _of("submission_id", "submissions", nullable=True), _text("purpose"), _text("mode"), _json("body"), _json("provenance"),
    _moment("at", nullable=False), sa.Index(None, "kind", "prompt_id"), sa.Index(None, "prompt_id"), sa.Index(None, "submission_id"),
)  # fmt: skip
"""What submissions and imports say, one row per ranking, rating, demonstration, evaluation or prompt's metadata."""

screenings = sa.Table(
    "screenings", METADATA, _id(), _text("name"), _of("speech_queue", "queues", nullable=True), _of("ranking_queue", "queues", nullable=True),
    _of("writing_queue", "queues", nullable=True), _moment("created_at", nullable=False), sa.UniqueConstraint("name"),
)  # fmt: skip
"""Which queues hold the tests of candidates; researchers answer the same tasks."""

self_assessments = sa.Table(
    "self_assessments", METADATA, _id(), _of("account_id", "accounts"), _json("topics"), _text("note"), _moment("at", nullable=False),
    sa.Index(None, "account_id"),
)  # fmt: skip
"""On which topics somebody is at ease to recognise sensitive speech; the latest counts."""

demonstration_ratings = sa.Table(
    "demonstration_ratings", METADATA, _id(), _of("submission_id", "submissions"), _of("account_id", "accounts"), _number("likert"),
    _moment("at", nullable=False), sa.UniqueConstraint("submission_id", "account_id"),
)  # fmt: skip
"""What researchers think of demonstrations, 1 to 7, without knowing whose they are."""

spot_checks = sa.Table(
    "spot_checks", METADATA, _id(), _of("submission_id", "submissions"), _of("account_id", "accounts"), _yes_or_no("fine"), _text("note"),
    _moment("at", nullable=False), sa.UniqueConstraint("submission_id"),
)  # fmt: skip
"""Submissions drawn by chance, and whether a lead finds them in order."""

models = sa.Table(
    "models", METADATA, _id(), _text("name"), _text("place"), _text("identity", nullable=True), _json("parents"), _json("snapshots"),
    _yes_or_no("visible"), _yes_or_no("chosen"), _moment("created_at", nullable=False), _moment("retired_at"), sa.UniqueConstraint("name"),
)  # fmt: skip
"""`place`: folder, hub id or URL; `identity`: hash of the weights; `parents`: role -> identity; `snapshots`: role -> snapshot id."""

snapshots = sa.Table(
    "snapshots", METADATA, _id(), _text("folder"), _text("record"), _text("query"), _json("counts"), _text("redacts", nullable=True),
    _moment("created_at", nullable=False),
)  # fmt: skip

snapshot_rows = sa.Table(
    "snapshot_rows", METADATA, Column("snapshot_id", sa.Text, sa.ForeignKey("snapshots.id"), primary_key=True),
    Column("prompt_id", sa.Text, primary_key=True), Column("user_id", sa.Text, nullable=False),
    Column("label_id", sa.Text, primary_key=True, default=""), sa.Index(None, "prompt_id"),
)  # fmt: skip
"""What each snapshot was made of; `label_id` is empty in a snapshot of prompts."""

jobs = sa.Table(
    "jobs", METADATA, _id(), _text("key"), _text("kind"), _json("payload"), _text("state"), _number("attempts"), _number("most_attempts", 3),
    _text("worker", nullable=True), _text("lease", nullable=True), _moment("expires_at"), _json("result"), _text("error", nullable=True),
    _of("account_id", "accounts", nullable=True), _moment("created_at", nullable=False), _moment("ended_at"),
    sa.UniqueConstraint("key"), sa.Index(None, "state", "created_at"),
)  # fmt: skip
