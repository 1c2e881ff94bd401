"""Screening of candidates and spot checks: four further tables, as they were then."""

import sqlalchemy as sa
from alembic import op

from instructloop.store.database.moments import Moment

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From the first version."""
    op.create_table(
        "screenings", _id(), _text("name"), _of("speech_queue", nullable=True), _of("ranking_queue", nullable=True),
        _of("writing_queue", nullable=True), _at("created_at"), sa.PrimaryKeyConstraint("id", name="pk_screenings"),
        sa.UniqueConstraint("name", name="uq_screenings_name"),
        *_keys("screenings", speech_queue="queues", ranking_queue="queues", writing_queue="queues"),
    )  # fmt: skip
    op.create_table(
        "self_assessments", _id(), _of("account_id"), sa.Column("topics", sa.JSON(none_as_null=True)), _text("note"), _at("at"),
        sa.PrimaryKeyConstraint("id", name="pk_self_assessments"), *_keys("self_assessments", account_id="accounts"),
    )  # fmt: skip
    op.create_index("ix_self_assessments_account_id", "self_assessments", ["account_id"])
    op.create_table(
        "demonstration_ratings", _id(), _of("submission_id"), _of("account_id"),
        sa.Column("likert", sa.Integer, nullable=False), _at("at"), sa.PrimaryKeyConstraint("id", name="pk_demonstration_ratings"),
        sa.UniqueConstraint("submission_id", "account_id", name="uq_demonstration_ratings_submission_id_account_id"),
        *_keys("demonstration_ratings", submission_id="submissions", account_id="accounts"),
    )  # fmt: skip
    op.create_table(
        "spot_checks", _id(), _of("submission_id"), _of("account_id"), sa.Column("fine", sa.Boolean, nullable=False),
        _text("note"), _at("at"), sa.PrimaryKeyConstraint("id", name="pk_spot_checks"),
        sa.UniqueConstraint("submission_id", name="uq_spot_checks_submission_id"),
        *_keys("spot_checks", submission_id="submissions", account_id="accounts"),
    )  # fmt: skip


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.Text, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _of(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _at(name: str) -> sa.Column[object]:
    return sa.Column(name, Moment, nullable=False)


def _keys(table: str, **columns: str) -> list[sa.ForeignKeyConstraint]:
    return [sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}") for name, other in columns.items()]
