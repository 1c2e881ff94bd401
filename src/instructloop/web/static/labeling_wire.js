// The way to the server: a call that outlives a dead connection and a dead session. A session that has ended is begun again in place.

const WAITS = [1000, 2000, 4000, 8000, 15000];

export class Offline extends Error {}

export class Wire {
  #entering = null;

  constructor({ name, texts, banner }) {
    this.name = name;
    this.texts = texts;
    this.banner = banner;
    this.dialog = document.getElementById("relogin");
    this.form = document.getElementById("relogin-form");
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#logIn();
    });
  }

  // One request: {status, data}. Throws Offline where the server cannot be reached or is being started again.
  async call(path, body, { headers = {}, keepalive = false, method = "POST" } = {}) {
    for (;;) {
      const response = await this.#fetch(path, {
        method,
        keepalive,
        headers: { "Content-Type": "application/json", Accept: "application/json", "X-Form-Token": token(), ...headers },
        body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      });
      const data = await response.json().catch(() => null);
      if (response.status >= 500 || data === null) throw new Offline();
      if (response.status !== 401 && data.error?.code !== "bad_token") {
        this.#online();
        return { status: response.status, data };
      }
      if (keepalive) throw new Offline();
      await this.#enter();
    }
  }

  // The same until it gets through.
  async patiently(path, body, options, waiting = () => {}) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.call(path, body, options);
      } catch (error) {
        if (!(error instanceof Offline)) throw error;
        waiting();
        await pause(WAITS[Math.min(tries, WAITS.length - 1)]);
      }
    }
  }

  // As good as nothing is lost when the page goes: headers and all, as long as the browser takes it.
  farewell(path, body, headers) {
    this.call(path, body, { headers, keepalive: true }).catch(() => {});
  }

  async #fetch(path, options) {
    try {
      return await fetch(path, options);
    } catch {
      this.banner(this.texts.offline);
      throw new Offline();
    }
  }

  #online() {
    this.banner("");
  }

  // Everything that waits for a session waits for the same one.
  #enter() {
    this.#entering ??= this.#begin().finally(() => (this.#entering = null));
    return this.#entering;
  }

  async #begin() {
    if (await this.#look()) return;
    this.form.reset();
    document.getElementById("relogin-problem").textContent = "";
    this.dialog.showModal();
    document.getElementById("relogin-password").focus();
    await new Promise((entered) => (this.entered = entered));
    this.dialog.close();
  }

  // Whether the person of this page is logged in in this browser; brings the form token up to date either way.
  async #look() {
    const response = await this.#fetch("/session", { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Offline();
    return this.#know(await response.json());
  }

  #know(session) {
    document.querySelector('meta[name="form-token"]').content = session.form_token;
    return session.name === this.name;
  }

  async #logIn() {
    const problem = document.getElementById("relogin-problem");
    const fields = new URLSearchParams(new FormData(this.form));
    fields.set("to", "/session");
    try {
      const response = await this.#fetch("/login", { method: "POST", headers: { Accept: "application/json", "X-Form-Token": token() }, body: fields });
      if (response.ok && this.#know(await response.json())) return this.entered();
      problem.textContent = response.status === 429 ? (await response.json()).error.message : this.texts.relogin_failed;
      if (response.status !== 429) await this.#look();
    } catch {
      problem.textContent = this.texts.offline;
    }
  }
}

const token = () => document.querySelector('meta[name="form-token"]').content;

// Ends early when the browser says that there is a network again.
function pause(milliseconds) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    window.addEventListener("online", () => (clearTimeout(timer), done()), { once: true });
  });
}
