// Ranking: a ladder of ranks on top, a card for each answer below. Digits, arrows, buttons and dragging all set the same ranks.

import { draggable } from "/static/labeling_drag.js";
import { countRanked, inserted, moved, placed, tiedWith } from "/static/labeling_ranks.js";
import { fill, kbd, keyOf, make } from "/static/labeling_texts.js";

export class RankingBoard {
  // `host`: answers [{name, text}], read() -> ranks, write(ranks), rating(name) -> likert, texts, say(words).
  constructor(host) {
    this.host = host;
    this.texts = host.texts;
    this.names = host.answers.map((answer) => answer.name);
    this.most = this.names.length;
    this.open = new Set();
    this.marked = null;
    this.current = this.names[0];
    this.cards = new Map(host.answers.map((answer) => [answer.name, this.#card(answer)]));
    this.chips = new Map(this.names.map((name) => [name, this.#chip(name)]));
    this.slots = [0, ...Array.from({ length: this.most }, (_, place) => place + 1)].map((rank) => this.#slot(rank));
    this.all = make("button", { type: "button", class: "button quiet small", onclick: () => this.#openAll() });
    this.element = make(
      "div", { class: "board" },
      make("div", { class: "ladder" }, ...this.slots.flatMap((slot, rank) => (rank > 1 ? [this.#gap(rank), slot.element] : [slot.element]))),
      make("div", { class: "board-tools" }, make("p", { class: "hint" }, host.hint), this.all),
      make("div", { class: "cards", data: { many: String(this.most) } }, ...[...this.cards.values()].map((card) => card.element)),
    );
    this.dialog = document.getElementById("comparing");
    this.#showOpen();
  }

  refresh() {
    const ranks = this.host.read();
    for (const [name, card] of this.cards) {
      for (const radio of card.radios) radio.checked = Number(radio.value) === ranks[name];
      card.element.classList.toggle("ranked", Boolean(ranks[name]));
      const likert = this.host.rating(name);
      card.rated.textContent = likert ? fill(this.texts.rated, { likert }) : "";
    }
    for (const slot of this.slots) {
      const here = this.names.filter((name) => (ranks[name] ?? 0) === slot.rank);
      slot.element.style.flexGrow = String(Math.max(1, here.length));
      slot.chips.replaceChildren(...here.map((name) => this.chips.get(name)));
    }
    if (this.dialog.open) this.#fillDialog();
  }

  missing() {
    const without = this.names.filter((name) => !this.host.read()[name]);
    return without.length ? fill(this.texts.missing_ranking, { names: without.join(", ") }) : null;
  }

  focus() {
    this.#go(this.names.find((name) => !this.host.read()[name]) ?? this.current);
  }

  key(event) {
    const at = event.target.closest("[data-answer]");
    if (at) this.current = at.dataset.answer;
    const name = this.current;
    const digit = /^Digit([0-9])$/.exec(event.code)?.[1] ?? (/^[0-9]$/.test(event.key) ? event.key : null);
    if (digit !== null && Number(digit) <= this.most) return this.#digit(name, Number(digit), event.shiftKey && !/^[0-9]$/.test(event.key));
    if (event.key === "Backspace" || event.key === "Delete") return this.#set(name, placed(this.host.read(), name, null));
    if (event.key.startsWith("Arrow")) return this.#arrow(event, name, at);
    const acts = { j: () => this.#step(1), k: () => this.#step(-1), x: () => this.#toggle(name), X: () => this.#openAll(), c: () => this.#compare(name) };
    acts[keyOf(event)]?.();
    return keyOf(event) in acts;
  }

  #digit(name, rank, ownRank) {
    return this.#set(name, ownRank && rank ? inserted(this.host.read(), name, rank, this.most) : placed(this.host.read(), name, rank));
  }

  // On a card or a chip arrows rank and move; in a text they scroll it, on a row of ranks they choose, as everywhere.
  #arrow(event, name, at) {
    if (!at || event.target.matches("[data-text], input")) return false;
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    if (event.key in steps) return this.#set(name, moved(this.host.read(), name, steps[event.key], this.most));
    this.#step(event.key === "ArrowRight" ? 1 : -1);
    return true;
  }

  #set(name, ranks) {
    this.host.write(ranks);
    this.#speak(name);
    return true;
  }

  #speak(name) {
    const ranks = this.host.read();
    const others = tiedWith(ranks, name);
    const words = !ranks[name] ? this.texts.said_unranked : others.length ? this.texts.said_tied : this.texts.said_rank;
    this.host.say(fill(words, { name, rank: ranks[name], others: others.join(", "), done: countRanked(ranks, this.names), all: this.most }));
  }

  #step(by) {
    this.#go(this.names[(this.names.indexOf(this.current) + by + this.most) % this.most]);
  }

  #go(name) {
    this.current = name;
    if (this.dialog.open) return;
    const card = this.cards.get(name).element;
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }

  #toggle(name) {
    this.open.has(name) ? this.open.delete(name) : this.open.add(name);
    this.#showOpen();
    this.cards.get(name).element.scrollIntoView({ block: "nearest" });
  }

  #openAll() {
    this.open = new Set(this.open.size < this.most ? this.names : []);
    this.#showOpen();
  }

  #showOpen() {
    for (const [name, card] of this.cards) {
      card.element.classList.toggle("open", this.open.has(name));
      card.expand.setAttribute("aria-pressed", String(this.open.has(name)));
      card.expand.firstChild.textContent = this.open.has(name) ? this.texts.collapse : this.texts.expand;
    }
    this.all.textContent = this.open.size < this.most ? this.texts.expand_all : this.texts.collapse_all;
  }

  // The first press marks an answer, the second, on another, opens both side by side.
  #compare(name) {
    if (this.dialog.open) return this.dialog.close();
    if (this.marked === null || this.marked === name) {
      this.marked = this.marked === name ? null : name;
      if (this.marked) this.host.say(fill(this.texts.said_compare, { name }));
    } else {
      this.pair = [this.marked, name];
      this.marked = null;
      this.#fillDialog(true);
      this.dialog.showModal();
    }
    for (const [other, card] of this.cards) {
      card.element.classList.toggle("marked", other === this.marked);
      card.compare.setAttribute("aria-pressed", String(other === this.marked));
    }
  }

  #fillDialog(fresh = false) {
    const place = document.getElementById("comparing-pair");
    if (fresh) {
      this.twins = this.pair.map((name) => this.#card(this.host.answers.find((answer) => answer.name === name), "twin"));
      place.replaceChildren(...this.twins.map((twin) => twin.element));
    }
    this.pair.forEach((name, side) => {
      for (const radio of this.twins[side].radios) radio.checked = Number(radio.value) === this.host.read()[name];
    });
  }

  #card({ name, text }, kind = "rankable") {
    const title = make("h3", { id: `${kind}-${name}`, class: "letter", "aria-label": fill(this.texts.answer, { name }) }, name);
    const rated = make("span", { class: "note number" });
    const radios = Array.from({ length: this.most }, (_, place) => this.#radio(`${kind}-rank-${name}`, name, place + 1));
    const body = make("div", { class: "card-text reading", tabIndex: 0, role: "region", "aria-label": fill(this.texts.text_of, { name }), data: { text: "" } }, text);
    const expand = make("button", { type: "button", class: "button quiet small", "aria-pressed": "false", onclick: () => this.#toggle(name) }, make("span", {}, this.texts.expand), kbd("X"));
    const compare = make("button", { type: "button", class: "button quiet small", "aria-pressed": "false", onclick: () => this.#compare(name) }, this.texts.compare, kbd("C"));
    const grip = make("span", { class: "grip", title: fill(this.texts.drag, { name }), "aria-hidden": "true" }, title);
    const ranks = make("fieldset", { class: "plain-set ranks" }, make("legend", { class: "unseen" }, fill(this.texts.rank_of, { name })), make("div", { class: "segments scale" }, ...radios.map((radio) => make("label", {}, radio, make("kbd", {}, radio.value)))));
    if (kind === "rankable") draggable(grip, { name, drop: (target) => this.#drop(name, target) });
    const tools = kind === "rankable" ? make("span", { class: "card-tools" }, compare, expand) : null;
    const element = make("article", { class: `answer-card ${kind}`, tabIndex: 0, "aria-labelledby": title.id, data: { answer: name }, onfocusin: () => (this.current = name) }, make("header", {}, kind === "rankable" ? grip : title, rated, tools), body, make("footer", {}, ranks));
    return { element, radios, rated, expand, compare };
  }

  // A second click on the rank that is set takes it away, as 0 does.
  #radio(group, name, rank) {
    return make("input", {
      type: "radio", name: group, value: String(rank), "aria-label": String(rank),
      onchange: () => this.#set(name, placed(this.host.read(), name, rank)),
      onpointerdown: (event) => { event.currentTarget.dataset.was = String(this.host.read()[name] === rank); },
      onclick: (event) => { if (event.detail && event.currentTarget.dataset.was === "true") this.#set(name, placed(this.host.read(), name, null)); },
    });
  }

  #chip(name) {
    const chip = make("button", { type: "button", class: "chip", "aria-label": fill(this.texts.answer, { name }), data: { answer: name }, onclick: () => this.#go(name) }, name);
    draggable(chip, { name, drop: (target) => this.#drop(name, target) });
    return chip;
  }

  #slot(rank) {
    const chips = make("span", { class: "slot-chips" });
    const word = rank === 0 ? this.texts.unranked : rank === 1 ? this.texts.best : rank === this.most ? this.texts.worst : "";
    const head = make("span", { class: "slot-name" }, rank ? make("b", {}, String(rank)) : "", rank ? ` ${word}` : word);
    return { rank, chips, element: make("div", { class: rank ? "slot" : "slot tray", data: { drop: String(rank) } }, head, chips) };
  }

  #gap(rank) {
    return make("div", { class: "gap", data: { drop: `before ${rank}` } });
  }

  #drop(name, target) {
    const rank = Number(target.replace("before ", ""));
    const ranks = this.host.read();
    this.#set(name, target.startsWith("before") ? inserted(ranks, name, rank, this.most) : placed(ranks, name, rank));
  }
}
