// What was typed, kept twice: in this browser at once, on the server half a second later. The copy here goes when the server has it.

import { Offline } from "/static/labeling_wire.js";
import { fill } from "/static/labeling_texts.js";

const DELAY = 500;
const AGAIN = 3000;

export class DraftKeeper {
  #timer = null;
  #saving = null;
  #changed = 0;
  #confirmed = 0;
  #over = false;

  // `ask` shows both versions and says "mine" or "theirs"; `take` puts theirs on the page; `lost` is told that the lease is over.
  // `kept` is the name of the copy here, `path` where the server takes the draft.
  constructor({ wire, kept, path, draft, texts, show, ask, take, lost }) {
    Object.assign(this, { wire, kept, path, texts, show, ask, take, lost });
    this.version = draft?.version ?? 0;
    this.show(draft ? this.#savedAt(draft.saved_at) : texts.fresh);
  }

  change(body) {
    if (this.#over) return;
    this.body = body;
    this.#changed += 1;
    keepHere(this.kept, { name: this.wire.name, version: this.version, body });
    this.show(this.texts.unsaved);
    this.#later(DELAY);
  }

  // The page goes away: what is not saved is sent along, and stays in this browser besides.
  farewell() {
    if (!this.#over && this.#changed > this.#confirmed) this.wire.farewell(this.path, { body: this.body }, { "If-Match": `"${this.version}"` });
  }

  // No more saving: what comes next is the submission itself.
  async stop() {
    this.#over = true;
    clearTimeout(this.#timer);
    await this.#saving;
  }

  resume() {
    this.#over = false;
    if (this.#changed > this.#confirmed) this.#later(DELAY);
  }

  #later(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), delay);
  }

  #save() {
    if (this.#saving) return this.#later(DELAY);
    this.#saving = this.#send().finally(() => (this.#saving = null));
  }

  async #send() {
    const sent = this.#changed;
    this.show(this.texts.saving);
    try {
      const { status, data } = await this.wire.call(this.path, { body: this.body }, { headers: { "If-Match": `"${this.version}"` } });
      if (status === 200) this.#confirm(sent, data);
      else if (status === 412) await this.#settle(data.draft);
      else if (data.error.code === "lease_lost") this.lost();
      else this.show(fill(this.texts.refused, { problem: data.error.message }));
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
      this.show(this.texts.kept_here);
      if (!this.#over) this.#later(AGAIN);
    }
  }

  #confirm(sent, data) {
    this.version = data.version;
    this.#confirmed = sent;
    if (sent < this.#changed) {
      keepHere(this.kept, { name: this.wire.name, version: this.version, body: this.body });
      return;
    }
    forget(this.kept);
    this.show(this.#savedAt(data.saved_at));
  }

  async #settle(stored) {
    const choice = await this.ask(this.body, stored);
    this.version = stored?.version ?? 0;
    if (choice === "mine") return this.#later(0);
    this.#confirmed = this.#changed;
    forget(this.kept);
    this.take(stored?.body ?? null);
    this.show(this.#savedAt(stored?.saved_at));
  }

  #savedAt(moment) {
    return fill(this.texts.saved, { time: clock(moment ? new Date(moment) : new Date()) });
  }
}

export const clock = (moment) => moment.toLocaleTimeString("en-GB");

// What this browser keeps. It may be full or forbidden: then the server is all there is.
export function keepHere(key, value) {
  try {
    localStorage.setItem(`instructloop.${key}`, JSON.stringify(value));
  } catch {
    // Nothing to do: the state on the page speaks of the server.
  }
}

export function keptHere(key) {
  try {
    return JSON.parse(localStorage.getItem(`instructloop.${key}`));
  } catch {
    return null;
  }
}

export function forget(key) {
  try {
    localStorage.removeItem(`instructloop.${key}`);
  } catch {
    // As above.
  }
}

export function allKept(prefix) {
  try {
    const start = `instructloop.${prefix}`;
    return Object.keys(localStorage).filter((key) => key.startsWith(start)).map((key) => key.slice("instructloop.".length));
  } catch {
    return [];
  }
}
