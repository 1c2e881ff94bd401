"""People at a site, each in a browser of their own: a lead in the administration, labelers at work by keyboard, mouse and touch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instructloop.lab.labelers import Labeler
from instructloop.records import FLAGS
from web.benches import drop, press, submitted, tab_to

PASSWORD = "seven plain words that nobody knows"
FLAG_KEYS = "qwertyuiopa"
NAMES = "ABCDEFGHI"


def join(page: Any, link: str, name: str) -> None:
    """Accept an invitation, by keyboard; the page is then the first of that person."""
    page.goto(link)
    for field, words in (("name", name), ("password", PASSWORD), ("repeat", PASSWORD)):
        page.focus(f"#{field}")
        page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_selector(f".menu-name:text-is('{name}')", state="attached")


@dataclass(frozen=True)
class Lead:
    """Somebody who runs the labeling, at their browser."""

    page: Any
    address: str

    def invite(self, role: str) -> str:
        """The link for one person of a role."""
        self._open("people")
        self._choose("role", role)
        self.page.click("form[action='/admin/people/invitations'] button")
        return self.page.text_content(".secret code")

    def publish_guide(self, name: str, mode: str) -> None:
        """The guide that ships with the package, as it is."""
        self._open("guides")
        self.page.click(f"a[href^='/admin/guides?begin={mode}']")
        self.page.wait_for_url("**/admin/guides?begin=*")
        self.page.fill("#name", name)
        self.page.click("form[action='/admin/guides'] button")
        self._told(f"{name} has the new version 1.")

    def make_queue(self, name: str, kind: str, *, overlap: int, guide: str) -> str:
        """A queue in training mode; its id."""
        self._open("queues")
        self.page.fill("#name", name)
        self._choose("kind", kind)
        self._choose("mode", "training")
        self.page.fill("#overlap", str(overlap))
        self.page.select_option("#guide_id", label=f"{guide}, version 1")
        self.page.click("form[action='/admin/queues'] button")
        self.page.wait_for_url("**/admin/queues/*")
        return self.page.url.rpartition("/")[2]

    def add_tasks(self, queue: str, count: int) -> None:
        """So many prompts to write, or prompts by labelers to answer."""
        self._open(f"queues/{queue}")
        self.page.fill("#count", str(count))
        self.page.click("form[action$='/new-tasks'] button")
        self._told(f"{count} tasks are added.")

    def sample(self, queue: str, model: str, *, num_answers: int, max_new_tokens: int) -> None:
        """Ask for answers of a model to the newest set of prompts."""
        self._open(f"queues/{queue}")
        self.page.check(f"input[name=model][value={model}]")
        self.page.fill("#num_answers", str(num_answers))
        self.page.fill("#max_new_tokens", str(max_new_tokens))
        self.page.click("form[action$='/candidates'] button")
        self.page.wait_for_url("**/admin/jobs")

    def choose_model(self, name: str) -> None:
        """Let the playground answer with it."""
        self._open("models")
        self.page.click(f"form[action='/admin/models/choose/{name}'] button")
        self._told(f"{name} is changed.")

    def people_inside(self, model: str) -> list[str]:
        """Whose data is in a model, as its page says."""
        self._open(f"models/{model}")
        return self.page.locator("section:has(#inside) tbody td:first-child").all_text_contents()

    def _open(self, section: str) -> None:
        self.page.goto(f"{self.address}/admin/{section}")

    def _choose(self, name: str, value: str) -> None:
        self.page.click(f"label.choice:has(input[name={name}][value={value}])")

    def _told(self, words: str) -> None:
        self.page.wait_for_selector(f".message.good:has-text('{words}')")


@dataclass(frozen=True)
class AtWork:
    """A labeler at their browser. What they think of answers is what a labeler of the small world thinks."""

    page: Any
    address: str
    name: str
    mind: Labeler
    hand: "Hand"

    def start(self, queue: str) -> None:
        """From the list of queues to the first task, by way of the guide if it is new."""
        self.page.goto(f"{self.address}/labeling")
        tab_to(self.page, f"a[href='/labeling/queues/{queue}']")
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector(".acknowledge, body[data-ready]")
        if self.page.is_visible(".acknowledge"):
            tab_to(self.page, ".acknowledge button")
            self.page.keyboard.press("Enter")
        self.page.wait_for_selector("body[data-ready]")

    @property
    def prompt(self) -> str:
        return self.page.text_content("#asked-text")

    @property
    def has_task(self) -> bool:
        return self.page.is_visible("#task")

    def write(self, words: str) -> None:
        """Type into the box that has the focus, and submit."""
        self.page.keyboard.type(words)
        self.page.keyboard.press("Control+Enter")
        submitted(self.page)

    def rank(self) -> tuple[str, list[list[str]]]:
        """Rate each answer, rank all, submit; the prompt, and the texts of the answers in groups, the best first."""
        prompt, texts = self.prompt, list[str]()
        while not self.page.is_visible(".board"):
            name = NAMES[len(texts)]
            self.page.wait_for_selector(f"#stage .alone h2:has-text('Answer {name}')")
            texts.append(self.page.text_content("#stage .alone .card-text"))
            rate = self.mind.rate(prompt, texts[-1])
            self.hand.rate(self.page, rate.likert, rate.flags)
        groups = self.mind(prompt, texts)
        self.hand.rank(self.page, {NAMES[place]: rank for rank, group in enumerate(groups, start=1) for place in group})
        self.hand.forward(self.page)
        submitted(self.page)
        return prompt, [sorted(texts[place] for place in group) for group in groups]


class Hand:
    """By keyboard alone."""

    def forward(self, page: Any) -> None:
        page.keyboard.press("Control+Enter")

    def rate(self, page: Any, likert: int, flags: Sequence[str]) -> None:
        press(page, " ".join([str(likert), *(FLAG_KEYS[FLAGS.index(flag)] for flag in flags)]))
        self.forward(page)

    def rank(self, page: Any, ranks: Mapping[str, int]) -> None:
        """Card after card, from the first, which has the focus."""
        for rank in ranks_in_order(ranks):
            press(page, f"{rank} j")


class Mouse(Hand):
    """By mouse, dragging letters onto ranks."""

    def forward(self, page: Any) -> None:
        page.click("#forward")

    def rate(self, page: Any, likert: int, flags: Sequence[str]) -> None:
        page.click(f".scale label:nth-child({likert})")
        for flag in flags:
            page.click(f"label.flag:has(input[value={flag}])")
        self.forward(page)

    def rank(self, page: Any, ranks: Mapping[str, int]) -> None:
        for name, rank in ranks.items():
            drop(page, f".tray .chip:has-text('{name}')", f".slot[data-drop='{rank}']")


class Touch(Hand):
    """With a finger, on a phone."""

    def forward(self, page: Any) -> None:
        page.tap("#forward")

    def rate(self, page: Any, likert: int, flags: Sequence[str]) -> None:
        page.tap(f".scale label:nth-child({likert})")
        for flag in flags:
            page.tap(f"label.flag:has(input[value={flag}])")
        self.forward(page)

    def rank(self, page: Any, ranks: Mapping[str, int]) -> None:
        for name, rank in ranks.items():
            page.tap(f".rankable[data-answer={name}] .ranks label:nth-child({rank})")


def ranks_in_order(ranks: Mapping[str, int]) -> list[int]:
    """The ranks of A, B, C …"""
    return [ranks[name] for name in sorted(ranks)]
