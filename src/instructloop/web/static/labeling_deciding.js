// Deciding between two answers that hide where they come from: side by side, one press says which, or neither.

import { fill, kbd, make } from "/static/labeling_texts.js";

export class Decision {
  // `host`: answers, read() -> name, null for a tie, undefined; write(value); title, hint, texts, say(words).
  constructor(host) {
    this.host = host;
    this.names = host.answers.map((answer) => answer.name);
    const choices = [[this.names[0], fill(host.texts.better_is, { name: this.names[0] })], [null, host.texts.equal], [this.names[1], fill(host.texts.better_is, { name: this.names[1] })]];
    this.values = choices.map(([value]) => value);
    this.radios = choices.map(([value], place) => make("input", { type: "radio", name: "preferred", value: String(place), onchange: () => host.write(value) }));
    const tiles = choices.map(([, words], place) => make("label", { class: "choice one-line" }, this.radios[place], make("span", { class: "choice-name" }, words), kbd(String(place + 1))));
    this.element = make(
      "div", { class: "board" },
      make("fieldset", { class: "plain-set asking" }, make("legend", { class: "label" }, host.title), make("p", { class: "hint" }, host.hint), make("div", { class: "choices three" }, ...tiles)),
      make("div", { class: "cards", data: { many: "2" } }, ...host.answers.map((answer) => this.#card(answer))),
    );
  }

  refresh() {
    const value = this.host.read();
    this.radios.forEach((radio, place) => (radio.checked = value !== undefined && value === this.values[place]));
  }

  missing() {
    return this.host.read() === undefined ? this.host.texts.missing_preference : null;
  }

  focus() {
    (this.radios.find((radio) => radio.checked) ?? this.radios[0]).focus();
  }

  key(event) {
    if (!/^[123]$/.test(event.key)) return false;
    this.host.write(this.values[Number(event.key) - 1]);
    return true;
  }

  #card({ name, text }) {
    const rating = this.host.rating(name);
    return make(
      "article", { class: "answer-card tall", "aria-label": fill(this.host.texts.answer, { name }) },
      make("header", {}, make("h3", { class: "letter" }, name), make("span", { class: "note number" }, rating ? fill(this.host.texts.rated, { likert: rating }) : "")),
      make("div", { class: "card-text reading", tabIndex: 0, role: "region", "aria-label": fill(this.host.texts.text_of, { name }) }, text),
    );
  }
}
