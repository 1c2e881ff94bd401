"""Writes the exports that tests read, with the packages of the tools themselves, each in an environment of its own:

pip install argilla==2.8.0 && python make.py argilla
pip install label-studio==1.23.2 && python make.py label-studio

Argilla's package writes its file without a server. Label Studio's server exports a project of a database that is made for it: annotations
come from a labeling configuration, which checks them, and the server's own code writes the file "JSON". It is not reached over the network.
"""

import importlib.util
import json
import os
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROMPT, ANSWERS = "Name a fruit.", ("A pear.", "A plum.", "A chair.")
CONFIGURATION = """<View>
  <Text name="prompt" value="$prompt"/>
  <List name="answers" value="$answers"/>
  <Ranker name="ranking" toName="answers"/>
  <TextArea name="better" toName="prompt"/>
</View>"""


def argilla_export(path: Path) -> None:
    """Two people rank three answers, the second with a tie; one writes a better one."""
    import argilla
    from argilla.records._io import JsonIO

    first, second = uuid.UUID(int=1), uuid.UUID(int=2)
    ranked = {first: (1, 2, 3), second: (1, 1, 3)}
    responses = [
        argilla.Response("ranking", [{"value": f"answer-{n}", "rank": rank} for n, rank in enumerate(ranks, 1)], user_id=user, status="submitted")
        for user, ranks in ranked.items()
    ]
    responses.append(argilla.Response("better", "A ripe pear.", user_id=first, status="submitted"))
    fields = {"prompt": PROMPT, **{f"answer-{n}": text for n, text in enumerate(ANSWERS, 1)}}
    path.unlink(missing_ok=True)
    JsonIO.to_json([argilla.Record(id="fruit", fields=fields, responses=responses)], path)


def label_studio_export(path: Path) -> None:
    """Two people rank three answers and one of them writes a better one; a third has skipped the task."""
    with tempfile.TemporaryDirectory() as folder:
        _start_label_studio(folder)
        path.write_text(json.dumps(_exported(), indent=1) + "\n")


def _start_label_studio(folder: str) -> None:
    """Its Django application on a new database in `folder`."""
    where = importlib.util.find_spec("label_studio")
    assert where is not None
    assert where.origin is not None
    sys.path.insert(0, str(Path(where.origin).parent))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "core.settings.label_studio", "DJANGO_DB": "sqlite", "LABEL_STUDIO_BASE_DATA_DIR": folder}
    os.environ |= {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "0", "SENTRY_DSN": ""}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _exported() -> Any:
    from data_export.models import DataExport
    from data_export.serializers import ExportDataSerializer
    from organizations.models import Organization
    from projects.models import Project
    from tasks.models import Annotation, Task
    from users.models import User

    people = [User.objects.create_user(email=f"{name}@example.com", password=uuid.uuid4().hex) for name in ("first", "second", "third")]
    organization = Organization.create_organization(created_by=people[0], title="fruit")
    project = Project.objects.create(title="fruit", label_config=CONFIGURATION, organization=organization, created_by=people[0])
    data = {"prompt": PROMPT, "answers": [{"id": f"answer-{n}", "title": f"Answer {n}", "body": text} for n, text in enumerate(ANSWERS, 1)]}
    task = Task.objects.create(project=project, data=data)
    for person, result in zip(people, _results(), strict=True):
        Annotation.objects.create(task=task, project=project, completed_by=person, result=result, was_cancelled=not result)
    rows = ExportDataSerializer(Task.objects.filter(project=project), many=True, context={"interpolate_key_columns": False}).data
    file, _, _ = DataExport.generate_export_file(project, rows, "JSON", False, {})
    return json.loads(file.read())


def _results() -> list[list[dict[str, Any]]]:
    """What the three people said, checked by the labeling configuration."""
    from label_studio_sdk.label_interface import LabelInterface
    from label_studio_sdk.label_interface.objects import AnnotationValue

    interface = LabelInterface(CONFIGURATION)
    ranking, better = interface.get_control("ranking"), interface.get_control("better")

    def ranks(*order: str) -> object:
        return ranking.label(ranker={"ranking": list(order)})

    said = [[ranks("answer-2", "answer-1", "answer-3"), better.label(text=["A ripe pear."])], [ranks("answer-1", "answer-2", "answer-3")], []]
    annotations = [json.loads(AnnotationValue(completed_by=1, result=result).model_dump_json(exclude_none=True)) for result in said]
    assert all(interface.validate_annotation(annotation) for annotation in annotations if annotation["result"])
    return [annotation["result"] for annotation in annotations]


if __name__ == "__main__":
    if sys.argv[1:] == ["argilla"]:
        argilla_export(HERE / "argilla.json")
    else:
        label_studio_export(HERE / "label_studio.json")
