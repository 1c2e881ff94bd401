// How an answer came about: seconds with the page in view, and the share of text that was pasted. The page says that it is recorded.

export class Spent {
  #since = null;

  constructor() {
    this.begin();
    document.addEventListener("visibilitychange", () => this.#turn());
    document.addEventListener("paste", (event) => this.#paste(event), true);
  }

  begin(before = {}) {
    this.seconds = before.seconds ?? 0;
    this.pastedCharacters = before.pasted ?? 0;
    this.#since = document.hidden ? null : performance.now();
  }

  // To be kept with a draft, so that whoever comes back goes on counting.
  get kept() {
    return { seconds: Math.round(this.#total() * 10) / 10, pasted: this.pastedCharacters };
  }

  // To be sent with an answer that holds `characters` of free text.
  measured(characters) {
    const share = characters ? Math.min(1, this.pastedCharacters / characters) : 0;
    return { seconds: Math.round(this.#total() * 10) / 10, pasted: Math.round(share * 1000) / 1000 };
  }

  #total() {
    return this.seconds + (this.#since === null ? 0 : (performance.now() - this.#since) / 1000);
  }

  #turn() {
    if (document.hidden) {
      this.seconds = this.#total();
      this.#since = null;
    } else {
      this.#since = performance.now();
    }
  }

  #paste(event) {
    if (event.target.closest("#stage")) this.pastedCharacters += event.clipboardData?.getData("text").length ?? 0;
  }
}
