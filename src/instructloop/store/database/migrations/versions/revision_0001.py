"""The first version of the store: the tables as they were then, whatever becomes of `schema.py`."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """From an empty database."""
    METADATA.create_all(op.get_bind(), checkfirst=False)


METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _number(name: str, default: int = 0) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, default=default)


def _yes_or_no(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, default=False)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True))


def _at_most_one(name: str, condition: str, *columns: str) -> sa.Index:
    """Rows for which the condition holds do not agree in these columns."""
    return sa.Index(name, *columns, unique=True, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))


def _of(name: str, table: str, *, nullable: bool = False) -> sa.Column[str]:
    """A column that names a row of another table."""
    return sa.Column(name, sa.Text, sa.ForeignKey(f"{table}.id"), nullable=nullable)


def _before(name: str, table: str) -> sa.Column[str]:
    """A column that names an earlier row of the same table; looked at when a transaction ends, so that rows can be copied in any order."""
    return sa.Column(name, sa.Text, sa.ForeignKey(f"{table}.id", deferrable=True, initially="DEFERRED"), nullable=True)


accounts = sa.Table(
    "accounts", METADATA, _id(), _text("name"), _text("role"), _text("password_hash", nullable=True), _yes_or_no("held_out"),
    _moment("created_at", nullable=False), _moment("disabled_at"), sa.UniqueConstraint("name"),
)  # fmt: skip

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

invitations = sa.Table(
    "invitations", METADATA, _id(), _text("token_hash"), _text("role"), _yes_or_no("held_out"), _of("invited_by", "accounts", nullable=True),
    _moment("created_at", nullable=False), _moment("expires_at", nullable=False), _moment("used_at"), _moment("revoked_at"),
    _of("account_id", "accounts", nullable=True), sa.UniqueConstraint("token_hash"),
)  # fmt: skip

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

consents = sa.Table(
    "consents", METADATA, _id(), _of("prompt_id", "prompts"), _of("account_id", "accounts", nullable=True), _yes_or_no("may_store"),
    _yes_or_no("may_train"), _text("version", nullable=True), _moment("at", nullable=False), sa.Index(None, "prompt_id"),
)  # fmt: skip

answers = sa.Table(
    "answers", METADATA, sa.Column("prompt_id", sa.Text, sa.ForeignKey("prompts.id"), primary_key=True), _id(), _text("text", nullable=True),
    _text("text_hash"), _text("source"), _text("model_id", nullable=True), _json("token_ids"), _json("sampling"),
    _text("finish_reason", nullable=True), _json("provenance"), _moment("created_at", nullable=False), _moment("erased_at"),
)  # fmt: skip

reactions = sa.Table(
    "reactions", METADATA, _id(), _of("prompt_id", "prompts"), _of("account_id", "accounts"), _text("kind"), _json("body"),
    _moment("at", nullable=False), sa.Index(None, "prompt_id"),
)  # fmt: skip

guides = sa.Table(
    "guides", METADATA, _id(), _text("name"), _number("version"), _text("mode"), _text("text"),
    _moment("created_at", nullable=False), sa.UniqueConstraint("name", "version"),
)  # fmt: skip

acknowledgements = sa.Table(
    "acknowledgements", METADATA, sa.Column("guide_id", sa.Text, sa.ForeignKey("guides.id"), primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True), _moment("at", nullable=False),
)  # fmt: skip

queues = sa.Table(
    "queues", METADATA, _id(), _text("name"), _text("kind"), _text("mode"), _of("guide_id", "guides", nullable=True), _number("overlap", 1),
    sa.Column("gold_rate", sa.Float, nullable=False, default=0.0), sa.Column("repeat_rate", sa.Float, nullable=False, default=0.0),
    _number("skips_to_review", 3), _number("lease_seconds", 1800), _number("revise_seconds", 86400), _yes_or_no("open"),
    _yes_or_no("needs_qualification"), _moment("created_at", nullable=False), sa.UniqueConstraint("name"),
)  # fmt: skip

qualifications = sa.Table(
    "qualifications", METADATA, sa.Column("queue_id", sa.Text, sa.ForeignKey("queues.id"), primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("accounts.id"), primary_key=True), _moment("at", nullable=False),
)  # fmt: skip

tasks = sa.Table(
    "tasks", METADATA, _id(), _of("queue_id", "queues"), _of("prompt_id", "prompts", nullable=True), _text("author", nullable=True),
    _json("payload"), _text("state"), _number("overlap", 1), _number("assigned"), _number("submitted"), _number("skipped"),
    _json("gold"), _yes_or_no("is_gold"), _number("position"), _moment("created_at", nullable=False),
    sa.CheckConstraint("assigned >= 0 AND (is_gold OR assigned <= overlap)", name="never_over_assigned"),
    sa.Index(None, "queue_id", "state", "is_gold", "position", "created_at", "id"), sa.Index(None, "prompt_id"),
)  # fmt: skip

leases = sa.Table(
    "leases", METADATA, _id(), _of("task_id", "tasks"), _of("account_id", "accounts"), _text("purpose"), _text("state"), _json("shown"),
    _of("guide_id", "guides", nullable=True), _text("reason", nullable=True), _moment("taken_at", nullable=False),
    _moment("expires_at", nullable=False), _moment("ended_at"),
    sa.Index(None, "account_id", "task_id"), sa.Index(None, "task_id"), sa.Index(None, "state", "expires_at"),
    _at_most_one("uq_leases_active", "state = 'active'", "task_id", "account_id"),
)  # fmt: skip

drafts = sa.Table(
    "drafts", METADATA, sa.Column("lease_id", sa.Text, sa.ForeignKey("leases.id"), primary_key=True), _number("version", 1),
    _json("body"), _moment("saved_at", nullable=False),
)  # fmt: skip

submissions = sa.Table(
    "submissions", METADATA, _id(), _text("key"), _of("task_id", "tasks"), _of("lease_id", "leases"), _of("account_id", "accounts"),
    _text("purpose"), _before("revises", "submissions"), _json("body"), _json("work"), _of("guide_id", "guides", nullable=True),
    _moment("at", nullable=False), sa.UniqueConstraint("account_id", "key"), sa.UniqueConstraint("revises"),
    sa.Index(None, "task_id"), sa.Index(None, "lease_id"), _at_most_one("uq_submissions_first", "revises IS NULL", "lease_id"),
)  # fmt: skip

labels = sa.Table(
    "labels", METADATA, _id(), _text("kind"), _of("prompt_id", "prompts"), _text("answer_id", nullable=True), _text("labeler_id"),
    _of("submission_id", "submissions", nullable=True), _text("purpose"), _text("mode"), _json("body"), _json("provenance"),
    _moment("at", nullable=False), sa.Index(None, "kind", "prompt_id"), sa.Index(None, "prompt_id"), sa.Index(None, "submission_id"),
)  # fmt: skip

models = sa.Table(
    "models", METADATA, _id(), _text("name"), _text("place"), _text("identity", nullable=True), _json("parents"), _json("snapshots"),
    _yes_or_no("visible"), _yes_or_no("chosen"), _moment("created_at", nullable=False), _moment("retired_at"), sa.UniqueConstraint("name"),
)  # fmt: skip

snapshots = sa.Table(
    "snapshots", METADATA, _id(), _text("folder"), _text("record"), _text("query"), _json("counts"), _text("redacts", nullable=True),
    _moment("created_at", nullable=False),
)  # fmt: skip

snapshot_rows = sa.Table(
    "snapshot_rows", METADATA, sa.Column("snapshot_id", sa.Text, sa.ForeignKey("snapshots.id"), primary_key=True),
    sa.Column("prompt_id", sa.Text, primary_key=True), sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("label_id", sa.Text, primary_key=True, default=""), sa.Index(None, "prompt_id"),
)  # fmt: skip

jobs = sa.Table(
    "jobs", METADATA, _id(), _text("key"), _text("kind"), _json("payload"), _text("state"), _number("attempts"), _number("most_attempts", 3),
    _text("worker", nullable=True), _text("lease", nullable=True), _moment("expires_at"), _json("result"), _text("error", nullable=True),
    _of("account_id", "accounts", nullable=True), _moment("created_at", nullable=False), _moment("ended_at"),
    sa.UniqueConstraint("key"), sa.Index(None, "state", "created_at"),
)  # fmt: skip
