"""A store in which something of everything has happened."""

from instructloop.store.database import api_keys, invitations, prompts, reactions, screening, spot_checks
from instructloop.store.database.drafts import save_draft
from instructloop.store.database.jobs import enqueue
from instructloop.store.database.leases import Lease, lease_next, skip
from instructloop.store.database.models import NewModel, register_model
from instructloop.store.database.queues import Queue, acknowledge_guide, publish_guide, qualify
from instructloop.store.database.roles import Account
from instructloop.store.database.submissions import Submission, revise, submit
from instructloop.store.database.tasks import NewTask, add_tasks
from store_world import World, ranking_body


def take(world: World, person: Account, queue: Queue) -> Lease:
    """The next lease, which there must be."""
    lease = lease_next(world.store, person, queue.id)
    assert lease is not None
    return lease


def fill(world: World) -> None:
    """Rows in every table: accounts, prompts with answers and reactions, every kind of task answered, revised, skipped, drafted."""
    store, labeler, other = world.store, world.labeler, world.person("labeler", "other")
    guide = publish_guide(store, world.lead, name="ranking", mode="training", text="Helpful first. ü ✓")
    acknowledge_guide(store, labeler, guide.id)
    user = world.person("playground")
    mine = world.prompt("Say this to Ünal: 你好 'quoted' \\ and \n a line.", author=user)
    answer = prompts.record_generation(store, user, mine, text="你好, Ünal.", model="m", sampling={"temperature": 0.5}, finish_reason="stop")
    reactions.react(store, user, mine, "thumb", {"answer": answer.id, "up": False})
    ranking, writing = world.queue("ranking", guide_id=guide.id, overlap=2), world.queue("write_prompt")
    demonstrating, marking = world.queue("demonstration"), world.queue("prompt_metadata", needs_qualification=True)
    qualify(store, world.lead, marking.id, labeler.id)
    world.rankings(ranking, 2)
    lease = take(world, labeler, ranking)
    first = submit(store, labeler, lease.id, ranking_body(lease.shown, better="A better one."), key="1")
    revise(store, labeler, first.id, ranking_body(lease.shown, groups=[list(lease.shown)]), key="2")
    save_draft(store, labeler, take(world, labeler, ranking).id, {"groups": []}, version=0)
    acknowledge_guide(store, other, guide.id)
    skip(store, other, take(world, other, ranking).id, "unclear")
    add_tasks(store, world.lead, writing.id, [NewTask(prompt_kind="few_shot", about="moods")])
    shots = [{"query": "I passed!", "response": "happy"}, {"query": "It rained.", "response": "sad"}]
    submit(store, labeler, take(world, labeler, writing).id, {"instruction": "Name the mood.", "shots": shots}, key="3")
    said: dict[str, Submission] = {}
    for queue, body in ((demonstrating, {"text": "Say: hello."}), (marking, {"use_case": "rewrite", "marks": ["ambiguous"]})):
        add_tasks(store, world.lead, queue.id, [NewTask(prompt_id=mine)])
        said[queue.id] = submit(store, labeler, take(world, labeler, queue).id, body, key=queue.id)
    api_keys.create_key(store, user, name="key", scopes=["generate"])
    invitations.invite(store, world.lead, "labeler")
    register_model(store, None, NewModel(name="m", place="/models/m", identity="abc", snapshots={"demonstrations": "s1"}))
    enqueue(store, None, "sample", {"model": "m"}, key="sample-1")
    assessment = world.queue("demonstration", mode="evaluation")
    screening.create_screening(store, world.lead, name="spring", speech=None, ranking=None, writing=assessment.id)
    screening.assess_oneself(store, labeler, ["religion", "age"], "I grew up with both. ✓")
    screening.rate_demonstration(store, world.person("researcher"), said[demonstrating.id].id, 6)
    spot_checks.check_submission(store, world.lead, first.id, fine=False, note="Hasty.")
