// The labeler's page: hands the first task to the bench, and keys and buttons to what they are for.

import { Bench } from "/static/labeling_bench.js";
import { keepHere, keptHere } from "/static/labeling_draft.js";
import { isTyping, kbd, keyOf, make } from "/static/labeling_texts.js";
import { Wire } from "/static/labeling_wire.js";

const at = (id) => document.getElementById(id);
const root = at("work");
const texts = JSON.parse(root.dataset.texts);
const words = { texts, questions: JSON.parse(root.dataset.questions), choices: JSON.parse(root.dataset.choices) };
const SIZES = 5;
const WIDE = "(min-width: 100rem)";

const KEYS = [
  [["Ctrl ↵"], texts.key_submit], [["1", "…", "9"], texts.key_digits], [["Q", "…", "A"], texts.key_letters], [["J", "K"], texts.key_next],
  [["↑", "↓", "←", "→"], texts.key_arrows], [["Shift 1", "…", "9"], texts.key_insert], [["0"], texts.key_clear], [["Z"], texts.key_undo],
  [["X", "Shift X"], texts.key_expand], [["C"], texts.key_compare], [["B"], texts.key_better], [["N"], texts.key_note], [["PgUp", "PgDn"], texts.key_scroll],
  [["G"], texts.key_guide], [["−", "+"], texts.key_size], [["S"], texts.key_skip], [["Esc"], texts.key_escape], [["?"], texts.key_help],
];

function say(text) {
  at("said").textContent = text;
}

function banner(text) {
  const shown = at("banner");
  if (!shown.hidden && !text) say(texts.back_online);
  shown.textContent = text;
  shown.hidden = !text;
}

const wire = new Wire({ name: root.dataset.name, texts, banner });
const bench = new Bench({ root, wire, words, say });

function setSize(size) {
  const kept = Math.min(SIZES - 1, Math.max(0, size));
  root.dataset.size = String(kept);
  keepHere("size", kept);
}

function showGuide(open) {
  if (!at("guide")) return;
  at("guide").hidden = !open;
  root.classList.toggle("with-guide", open);
  at("guide-toggle").setAttribute("aria-expanded", String(open));
}

function toggleGuide() {
  if (!at("guide")) return;
  const open = at("guide").hidden;
  showGuide(open);
  keepHere("guide", open);
  if (open && !matchMedia(WIDE).matches) at("guide").focus();
}

async function askToSkip() {
  if (at("skip").disabled || at("skip").hidden || !bench.task) return;
  const dialog = at("skipping");
  at("skipping-form").reset();
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  if (dialog.returnValue !== "skip") return;
  const given = new FormData(at("skipping-form"));
  await bench.skip(given.get("reason"), given.get("words"));
}

function scrollCard(event) {
  const region = event.target.closest("[data-answer]")?.querySelector("[data-text]") ?? at("stage").querySelector(".alone .card-text");
  if (!region || event.target.matches("[data-text], .card-text")) return false;
  region.scrollBy({ top: (event.key === "PageDown" ? 0.85 : -0.85) * region.clientHeight });
  return true;
}

const COMMANDS = {
  g: toggleGuide,
  s: askToSkip,
  z: () => bench.undo(),
  j: () => bench.go(bench.step + 1),
  k: () => bench.go(bench.step - 1),
  "?": () => at("help").showModal(),
  "-": () => setSize(Number(root.dataset.size) - 1),
  "−": () => setSize(Number(root.dataset.size) - 1),
  "+": () => setSize(Number(root.dataset.size) + 1),
  "=": () => setSize(Number(root.dataset.size) + 1),
};

// Single keys work everywhere but where somebody writes; what a view takes, nothing else gets.
function press(event) {
  const dialog = document.querySelector("dialog[open]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!dialog) bench.forward();
    else if (dialog.id === "comparing") dialog.close();
    else dialog.querySelector(".button.main")?.click();
    return;
  }
  if (isTyping(event.target)) {
    if (event.key === "Escape" && !dialog) event.target.blur();
    return;
  }
  if ((event.ctrlKey || event.metaKey) && keyOf(event) === "z" && !dialog) {
    event.preventDefault();
    bench.undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !bench.task || (dialog && dialog.id !== "comparing") || event.target.closest(".bar")) return;
  const scrolled = (event.key === "PageUp" || event.key === "PageDown") && scrollCard(event);
  const command = dialog ? undefined : COMMANDS[keyOf(event)];
  if (scrolled || bench.view.key(event)) event.preventDefault();
  else if (command) {
    event.preventDefault();
    command();
  }
}

document.addEventListener("keydown", press);
at("forward").addEventListener("click", () => bench.forward());
at("step-back").addEventListener("click", () => bench.go(bench.step - 1));
at("undo").addEventListener("click", () => bench.undo());
at("skip").addEventListener("click", askToSkip);
at("give-back").addEventListener("click", () => bench.giveBack());
at("again").addEventListener("click", () => bench.look());
at("smaller").addEventListener("click", () => setSize(Number(root.dataset.size) - 1));
at("larger").addEventListener("click", () => setSize(Number(root.dataset.size) + 1));
at("help-open").addEventListener("click", () => at("help").showModal());
at("guide-toggle")?.addEventListener("click", toggleGuide);
at("asked-expand").addEventListener("click", () => {
  const open = at("asked").classList.toggle("open");
  at("asked-expand").setAttribute("aria-pressed", String(open));
  at("asked-expand").textContent = open ? texts.collapse : texts.expand;
});
at("key-list").append(...KEYS.flatMap(([keys, what]) => [make("dt", {}, ...keys.map((key) => (key === "…" ? "…" : kbd(key)))), make("dd", {}, what)]));
setSize(keptHere("size") ?? 1);
showGuide(keptHere("guide") ?? matchMedia(WIDE).matches);
bench.begin(JSON.parse(root.dataset.first));
document.body.dataset.ready = "true";
