// One card of the playground: an answer from its first word to its thumb.

import { copy, post } from "/static/everywhere.js";

export class AnswerCard {
  constructor(element, texts, say) {
    this.element = element;
    this.texts = texts;
    this.say = say;
    this.part = (name) => element.querySelector(`[data-${name}]`);
    this.thumbs = [...element.querySelectorAll("[data-thumb]")];
    const copyButton = this.part("copy-answer");
    copyButton.dataset.copied = texts.copied;
    copyButton.addEventListener("click", () => copy(copyButton, this.text));
    for (const thumb of this.thumbs) thumb.addEventListener("click", () => this.#rate(thumb));
  }

  get text() {
    return this.part("text").textContent;
  }

  begin(title, model) {
    this.element.hidden = false;
    this.element.classList.remove("failed");
    this.element.setAttribute("aria-busy", "true");
    this.element.querySelector("h2").textContent = title;
    this.part("model").textContent = model;
    this.part("text").textContent = "";
    this.part("count").textContent = "";
    this.part("state").textContent = this.texts.waiting;
    this.rateable(null, null);
  }

  // Adds to a text node, so that a selection made while the answer grows is kept, and nothing is ever read as HTML.
  add(words) {
    if (!this.text) this.part("state").textContent = this.texts.writing;
    const last = this.part("text").lastChild;
    if (last) last.appendData(words);
    else this.part("text").append(document.createTextNode(words));
  }

  end(state, count) {
    this.element.setAttribute("aria-busy", "false");
    this.part("state").textContent = state;
    this.part("count").textContent = count ?? "";
  }

  fail(state) {
    this.element.classList.add("failed");
    this.end(state);
  }

  get busy() {
    return this.element.getAttribute("aria-busy") === "true";
  }

  rateable(prompt, id) {
    this.prompt = prompt;
    this.id = id;
    for (const thumb of this.thumbs) {
      thumb.hidden = !id;
      thumb.setAttribute("aria-pressed", "false");
    }
  }

  async #rate(thumb) {
    const response = await post("/playground/thumbs", { prompt: this.prompt, answer: this.id, up: thumb.dataset.thumb === "up" });
    if (!response.ok) return this.say(this.texts.lost);
    for (const other of this.thumbs) other.setAttribute("aria-pressed", String(other === thumb));
    this.say(this.texts.thanks);
  }
}
