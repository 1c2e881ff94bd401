// One task after another: shown, drafted, submitted, with the next one at hand.

import { DraftKeeper, allKept, clock, forget, keepHere, keptHere } from "/static/labeling_draft.js";
import { Offline } from "/static/labeling_wire.js";
import { Spent } from "/static/labeling_spent.js";
import { fill, make } from "/static/labeling_texts.js";
import { answerOf, bodyOf, charactersOf, stepsOf, viewOf } from "/static/labeling_views.js";

const at = (id) => document.getElementById(id);
const MOST_UNDO = 200;

export class Bench {
  #upcoming;
  #fetching = null;
  #busy = false;

  constructor({ root, wire, words, say }) {
    Object.assign(this, { root, wire, words, say, texts: words.texts });
    this.queue = root.dataset.queue;
    this.spent = new Spent();
    this.problem = (text) => (at("problem").textContent = text ?? "");
    this.state = (text) => (at("saved").textContent = text);
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    setInterval(() => this.#renew(), Math.max(3000, (Number(root.dataset.seconds) * 1000) / 3));
  }

  begin({ task, revising }) {
    this.revising = revising;
    this.#sendWhatWaits(task?.lease);
    if (task) this.#show(task);
    else this.#showNone();
  }

  // Moves on: to the next step, or off with the answer.
  async forward() {
    if (this.#busy || !this.task) return;
    const missing = this.view.missing();
    this.problem(missing);
    if (missing) return this.view.focus(true);
    if (this.step < this.steps.length - 1) return this.go(this.step + 1);
    const without = this.steps.findIndex((_, step) => viewOf(this.task, this.steps[step], this.#desk()).missing());
    if (without >= 0) {
      this.go(without);
      this.problem(this.view.missing());
      return this.view.focus(true);
    }
    await this.#submit();
  }

  go(step) {
    if (step < 0 || step >= this.steps.length || this.#busy) return;
    this.step = step;
    this.#keep();
    this.#draw();
    this.view.focus();
    const name = this.steps[step];
    this.say(name ? fill(this.texts.said_step, { name, place: step + 1, all: this.steps.length - 1 }) : this.texts.said_ranking);
  }

  undo() {
    const before = this.history.pop();
    if (!before || this.#busy) return;
    this.answer = before.answer;
    this.#keep();
    if (before.step !== this.step) this.go(before.step);
    this.#refresh();
    this.say(this.texts.said_undone);
  }

  async skip(reason, words) {
    await this.#endLease("skip", { reason, words });
    await this.#next(this.texts.skipped);
  }

  async giveBack() {
    await this.#endLease("release", {});
    location.assign("/labeling");
  }

  async look() {
    at("again").disabled = true;
    await this.#next();
    at("again").disabled = false;
  }

  #show(task) {
    this.task = task;
    this.steps = stepsOf(task);
    this.history = [];
    this.keeper = this.#keeper(task);
    const local = keptHere(this.keeper.kept);
    this.#restore(task.draft?.body ?? this.#submittedBefore());
    this.#showAsked(task);
    at("none").hidden = true;
    for (const id of ["task", "foot"]) at(id).hidden = false;
    this.#freeze(false);
    this.problem("");
    this.#draw();
    this.view.focus();
    if (local?.name === this.wire.name) this.#takeUp(local, task.draft);
    const waiting = keptHere(`outbox.${task.lease}`);
    if (waiting?.name === this.wire.name && !this.revising) this.#send(waiting);
    else if (!this.revising) setTimeout(() => this.#prefetch(), 60);
  }

  #keeper(task) {
    const [kept, of] = this.revising ? [`revision.${this.revising.id}`, `submissions/${this.revising.id}`] : [`draft.${task.lease}`, `leases/${task.lease}`];
    return new DraftKeeper({
      wire: this.wire, kept, path: `/labeling/${of}/draft`, draft: task.draft, texts: this.texts, show: this.state,
      ask: (mine, theirs) => this.#askWhich(mine, theirs),
      take: (body) => { this.#restore(body ?? this.#submittedBefore()); this.#draw(); },
      lost: () => this.#lost(),
    });
  }

  // What this browser kept and the server may not have.
  async #takeUp(mine, stored) {
    const version = stored?.version ?? 0;
    if (JSON.stringify(mine.body) === JSON.stringify(stored?.body)) return forget(this.keeper.kept);
    if (mine.version !== version && (await this.#askWhich(mine.body, stored)) === "theirs") return forget(this.keeper.kept);
    this.#restore(mine.body);
    this.#draw();
    this.#keep();
  }

  #submittedBefore() {
    return this.revising ? { answer: answerOf(this.revising.body), step: this.steps.length - 1 } : null;
  }

  #restore(body) {
    this.answer = body?.answer ?? {};
    this.step = Math.min(Math.max(0, body?.step ?? 0), this.steps.length - 1);
    this.spent.begin(body?.spent);
  }

  #desk() {
    return { words: this.words, say: this.say, answer: () => this.answer, change: (answer, options) => this.#change(answer, options) };
  }

  #change(answer, { typed = false } = {}) {
    if (this.#busy) return;
    if (!typed) this.history.push({ answer: this.answer, step: this.step });
    if (this.history.length > MOST_UNDO) this.history.shift();
    this.answer = answer;
    this.problem("");
    this.#keep();
    this.#refresh();
  }

  #keep() {
    this.keeper.change({ answer: this.answer, step: this.step, spent: this.spent.kept });
  }

  #draw() {
    this.view = viewOf(this.task, this.steps[this.step], this.#desk());
    at("stage").replaceChildren(this.view.element);
    this.#refresh();
  }

  #refresh() {
    this.view.refresh();
    at("undo").disabled = this.history.length === 0;
    at("step-back").hidden = this.step === 0;
    const last = this.step === this.steps.length - 1;
    at("step-back").querySelector("kbd").hidden = last; // there the key goes from card to card
    at("forward-name").textContent = !last ? this.texts.forward : this.revising ? this.texts.revise : this.texts.submit;
    this.#drawSteps();
  }

  #drawSteps() {
    const nav = at("steps");
    nav.hidden = this.steps.length < 2;
    const final = this.task.kind === "ranking" ? this.texts.rank : this.texts.decide;
    if (nav.childElementCount !== this.steps.length || nav.dataset.final !== final) {
      nav.dataset.final = final;
      nav.replaceChildren(...this.steps.map((name, step) => make("button", { type: "button", class: "step", onclick: () => this.go(step) }, name ?? final)));
    }
    [...nav.children].forEach((button, step) => {
      const name = this.steps[step];
      const done = Boolean(name && this.answer.ratings?.[name]?.likert);
      button.classList.toggle("done", done);
      button.setAttribute("aria-label", `${name ? fill(this.texts.rating_of, { name }) : final}${done ? `, ${this.texts.step_done}` : ""}`);
      if (step === this.step) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
  }

  #showAsked(task) {
    const writes = task.kind === "write_prompt";
    at("asked-title").textContent = writes ? this.texts.about : this.texts.prompt;
    at("asked-text").textContent = writes ? (task.about ?? this.texts.about_free) : task.prompt;
    at("asked-text").scrollTop = 0;
    at("asked").classList.remove("open");
    at("asked-expand").setAttribute("aria-pressed", "false");
    at("asked-expand").hidden = at("asked-text").textContent.length < 300;
  }

  async #submit() {
    const body = bodyOf(this.task, this.answer);
    const work = this.spent.measured(charactersOf(this.answer));
    const target = this.revising ? `submissions/${this.revising.id}/revision` : `leases/${this.task.lease}/submission`;
    const entry = { name: this.wire.name, path: `/labeling/${target}`, body: { body, work }, key: target };
    keepHere(this.#outboxKey(), entry);
    await this.#send(entry);
  }

  // From here on the answer is as it is; it is sent until the server has said what became of it. The same key never makes two.
  async #send(entry) {
    this.#freeze(true);
    this.state(this.texts.sending);
    await this.keeper?.stop();
    const { status, data } = await this.wire.patiently(entry.path, entry.body, { headers: { "Idempotency-Key": entry.key } }, () => this.state(this.texts.waiting));
    forget(this.#outboxKey());
    if (status === 200 || (status === 409 && data.error.code === "conflict" && !this.revising)) return this.#submitted();
    this.#freeze(false);
    this.keeper?.resume();
    if (data.error.code === "lease_lost" || status === 404) return this.#lost();
    this.problem(fill(this.texts.refused, { problem: data.error.message }));
    this.state("");
  }

  async #submitted() {
    forget(this.keeper.kept);
    if (this.revising) return location.assign(this.revising.back);
    await this.#next(this.texts.said_submitted);
  }

  #outboxKey() {
    return this.revising ? `outbox.revision.${this.revising.id}` : `outbox.${this.task.lease}`;
  }

  // Answers that were on their way when a page went: the store knows their keys, so sending them again does no harm.
  #sendWhatWaits(current) {
    for (const key of allKept("outbox.")) {
      const entry = keptHere(key);
      if (entry?.name !== this.wire.name || key === `outbox.${current}`) continue;
      this.wire.patiently(entry.path, entry.body, { headers: { "Idempotency-Key": entry.key } }).then(() => forget(key));
    }
  }

  async #next(words) {
    await this.#fetching;
    if (!this.#upcoming) await this.#fetchNext([]);
    const task = this.#upcoming;
    this.#upcoming = undefined;
    if (task === undefined) return; // another page is on its way
    if (task) this.#show(task);
    else this.#showNone();
    scrollTo(0, 0);
    if (task && words) this.say(words);
  }

  #prefetch() {
    if (!this.task || this.#upcoming || this.#fetching) return;
    this.#fetching = this.#fetchNext([this.task.lease], true).finally(() => (this.#fetching = null));
  }

  // A guide to be read, or a queue that was closed, has a page of its own.
  async #fetchNext(beside, ahead = false) {
    const path = `/labeling/queues/${this.queue}/next`;
    try {
      const { status, data } = ahead ? await this.wire.call(path, { beside }) : await this.wire.patiently(path, { beside }, {}, () => this.state(this.texts.waiting));
      if (status === 200) this.#upcoming = data.task;
      else if (!ahead) location.assign(`/labeling/queues/${this.queue}`);
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
    }
  }

  #showNone() {
    this.task = null;
    for (const id of ["task", "foot", "steps"]) at(id).hidden = true;
    at("none").hidden = false;
    this.state("");
    this.say(this.texts.said_last);
  }

  async #endLease(how, body) {
    this.#freeze(true);
    await this.keeper.stop();
    await this.wire.patiently(`/labeling/leases/${this.task.lease}/${how}`, body, {}, () => this.state(this.texts.waiting));
    forget(this.keeper.kept);
  }

  #freeze(frozen) {
    this.#busy = frozen;
    at("stage").inert = frozen;
    for (const id of ["forward", "skip", "give-back", "step-back"]) at(id).disabled = frozen;
    for (const id of ["skip", "give-back"]) at(id).hidden = Boolean(this.revising);
  }

  async #renew() {
    if (document.hidden || this.revising || this.#busy || !this.task) return;
    const current = this.task.lease;
    try {
      const { data } = await this.wire.call(`/labeling/leases/${current}/renew`);
      if (data.error?.code === "lease_lost" && this.task?.lease === current && !this.#busy) return this.#lost();
      if (!this.#upcoming) return;
      const { status } = await this.wire.call(`/labeling/leases/${this.#upcoming.lease}/renew`);
      if (status !== 200) this.#upcoming = undefined;
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
    }
  }

  #leave() {
    this.keeper?.farewell();
    if (this.#upcoming) this.wire.farewell(`/labeling/leases/${this.#upcoming.lease}/release`, {});
  }

  async #lost() {
    await this.keeper?.stop();
    const dialog = at("lost");
    if (dialog.open) return;
    dialog.showModal();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    await this.#next();
  }

  // Both versions as plain words, so that the choice can be made knowingly.
  async #askWhich(mine, theirs) {
    const dialog = at("conflict");
    at("conflict-text").textContent = fill(this.texts.conflict, { time: theirs ? clock(new Date(theirs.saved_at)) : "" });
    const shown = (title, body) => make("div", {}, make("b", {}, title), make("pre", { tabIndex: 0 }, wordsOf(body?.answer)));
    at("versions").replaceChildren(shown(this.texts.keep_mine, mine), shown(this.texts.take_theirs, theirs?.body));
    dialog.returnValue = "mine";
    dialog.showModal();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    return dialog.returnValue === "theirs" ? "theirs" : "mine";
  }
}

function wordsOf(answer) {
  const { ratings = {}, ranks, ...texts } = answer ?? {};
  const lines = Object.entries(ratings).map(([name, { likert, note }]) => [name, likert ? `${likert}/7` : "", note].filter(Boolean).join("  "));
  if (ranks) lines.push(Object.entries(ranks).sort((a, b) => a[1] - b[1]).map(([name, rank]) => `${rank} ${name}`).join("  "));
  for (const value of Object.values(texts)) if (value !== null && value !== undefined) lines.push(typeof value === "string" ? value : JSON.stringify(value));
  return lines.join("\n");
}
