"""Writes the exports that tests read, with the packages of the tools themselves: `python make.py` where both are installed.

pip install argilla==2.8.0 label-studio-sdk==2.1.2

Argilla's package writes its file by itself, without a server. Label Studio's makes each annotation from a labeling configuration and
checks it; only the list of tasks around them is put together here, as its server's export "JSON" has it.
"""

import json
import uuid
from pathlib import Path

import argilla
from argilla.records._io import JsonIO
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import AnnotationValue

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
    interface = LabelInterface(CONFIGURATION)
    data = {"prompt": PROMPT, "answers": [{"id": f"answer-{n}", "title": f"Answer {n}", "body": text} for n, text in enumerate(ANSWERS, 1)]}
    ranking, better = interface.get_control("ranking"), interface.get_control("better")

    def ranks(*order: str) -> object:
        return ranking.label(ranker={"ranking": list(order)})

    orders = (("answer-2", "answer-1", "answer-3"), ("answer-1", "answer-2", "answer-3"))
    said = [[ranks(*orders[0]), better.label(text=["A ripe pear."])], [ranks(*orders[1])], []]
    annotations = []
    for person, result in enumerate(said, 7):
        annotation = json.loads(AnnotationValue(completed_by=person, result=result, was_cancelled=not result).model_dump_json(exclude_none=True))
        assert interface.validate_annotation(annotation) or not result
        annotations.append({"id": person, **annotation})
    path.write_text(json.dumps([{"id": 41, "data": data, "annotations": annotations}], indent=1) + "\n")


if __name__ == "__main__":
    argilla_export(HERE / "argilla.json")
    label_studio_export(HERE / "label_studio.json")
