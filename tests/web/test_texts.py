"""Every text that people read is in the catalogue, every text of the catalogue is read, and templates hold none of their own."""

import ast
import re
from pathlib import Path

import instructloop.web
from instructloop.store.database.kinds import FEW_SHOT, KINDS, QUESTIONS, SKIP_REASONS, all_questions
from instructloop.web.texts import catalogue

WEB = Path(instructloop.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
SCRIPTS = sorted((WEB / "static").glob("*.js"))
PARTS = (
    "section",
    "set",
    "coef",
    "kind_hint",
    "mode_hint",
    "state",
    "funnel",
    "source",
    "undefined",
    "job",
    "model",
    "record",
    "choose",
    "what",
    "layout",
    "form",
    "prompt_kind",
    "begin",
)
PREFIXED = (
    *(f"admin.{part}_" for part in PARTS), "themselves.topic_", "nav.", "roles.", "roles_hint.", "theme.", "data.from_", "data.said_",
    "playground.example_", "errors.", "kinds.", "modes.", "questions.", "choices.",
)  # fmt: skip
"""Looked up with a name put together from these."""


def test_templates_hold_no_words() -> None:
    for path in TEMPLATES:
        text = re.sub(r"\{% block main_class %\}\w+", "", path.read_text())
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", " ", text)
        assert re.findall(r"[A-Za-z]{2,}", text) == [], path.name


def test_attributes_that_are_read_aloud_hold_none_either() -> None:
    for path in TEMPLATES:
        for value in re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', path.read_text()):
            assert value.startswith("{{"), (path.name, value)


def test_every_text_is_used_and_every_use_is_there() -> None:
    sources = "\n".join(path.read_text() for path in (*TEMPLATES, *SCRIPTS, *WEB.rglob("*.py")))
    scripts = "\n".join(path.read_text() for path in SCRIPTS)
    asked = set(re.findall(r'\bt(?:ext)?\("([\w.]+)"[,)]', sources))
    assert asked <= set(catalogue())
    names = (
        set(re.findall(r"Refusal\(\s*\d+,\s*\"(\w+)\"", sources)) | set(re.findall(r'\d{3}: "(\w+)"', (WEB / "app.py").read_text())) | {"bad_request"}
    )
    assert {f"errors.{name}.text" for name in names} <= set(catalogue())
    by_script = {
        f"{part}.{name}" for part in ("playground", "notice", "work") for pair in re.findall(r"[tT]exts\.(\w+)|\"(\w+)\"", scripts) for name in pair
    }
    by_script |= {f"playground.finished_{reason}" for reason in ("stop", "length", "stopped")}
    asked |= {key for key in catalogue() if f'"{key}"' in sources}
    used = asked | by_script | {key for key in catalogue() if key.startswith(PREFIXED)}
    assert set(catalogue()) - used == set()
    errors = {key.split(".")[1] for key in catalogue() if key.startswith("errors.")}
    assert errors - names - {"client_gone"} == set()


def test_every_question_and_every_choice_has_words_and_every_word_is_of_one() -> None:
    asked = [question for questions in (*QUESTIONS.values(), FEW_SHOT) for question in questions]
    expected = {f"questions.{question.name}.{part}" for question in asked for part in ("label", "hint")}
    expected |= {f"choices.{question.name}.{choice}" for question in asked for choice in question.choices}
    expected |= {f"choices.skip_reasons.{reason}" for reason in SKIP_REASONS}
    assert {key for key in catalogue() if key.startswith(("questions.", "choices."))} == expected
    assert {key.removeprefix("kinds.") for key in catalogue() if key.startswith("kinds.")} == set(KINDS)


def test_the_questions_in_the_documents_are_those_that_are_asked() -> None:
    document = (WEB.parents[2] / "docs" / "labeling.md").read_text(encoding="utf-8")
    table = document.split("<!-- questions -->")[1].split("<!-- end of questions -->")[0]
    assert [row for row in table.splitlines() if row.startswith("| ") and not row.startswith("| kind ")] == [
        f"| {kind} | {question['name']}{', for each answer' if question['each'] else ''}{'' if question['needed'] else ' (optional)'} "
        f"| {question['form']}{' of ' + str(len(question['choices'])) if question['choices'] else ''} |"
        for kind, questions in all_questions().items()
        for question in questions
    ]


def test_no_page_holds_script_or_style_of_its_own() -> None:
    for path in TEMPLATES:
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path.name
        assert all('src="/static/' in tag for tag in re.findall(r"<script[^>]*>", text))
        assert not re.search(r"https?://", text)
    for path in (*SCRIPTS, *(WEB / "static").glob("*.css")):
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|eval\(|document\.write", path.read_text()), path.name


def test_no_error_is_raised_with_words_of_its_own() -> None:
    """`Refusal` takes names of the catalogue; sentences only as values of "invalid" and its like, made from errors of ours."""
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "HTTPException":
                raise AssertionError(path)
