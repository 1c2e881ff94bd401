// The playground: one prompt, one answer or two side by side, streamed and stoppable.

import { post, formToken } from "/static/everywhere.js";
import { eventsOf } from "/static/events.js";
import { AnswerCard } from "/static/answer.js";

const form = document.getElementById("playground");
const at = (id) => document.getElementById(id);
const texts = JSON.parse(form.dataset.texts);
const noticeTexts = JSON.parse(form.dataset.noticeTexts);
const say = (words) => (at("said").textContent = words);
const cards = [0, 1].map((side) => new AnswerCard(at(`answer-${side}`), texts, say));
const verdicts = [...document.querySelectorAll("[data-better]")];

let running = null;
let stored = { prompt: null, answers: [] };

const comparing = () => at("compare").getAttribute("aria-pressed") === "true";
const sides = () => (comparing() ? cards : cards.slice(0, 1));
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const problem = (words) => (at("problem").textContent = words);

function asked() {
  return {
    prompt: at("prompt").value,
    models: sides().map((_, side) => at(`model-${side}`).value),
    temperature: Number(at("temperature").value),
    top_p: Number(at("top-p").value),
    max_tokens: Number(at("length").value),
    stop: at("stops").value.split("\n").filter(Boolean),
    store: at("store").checked,
    train: at("train").checked,
    notice: form.dataset.notice,
  };
}

function showRunning(isRunning) {
  at("run").hidden = isRunning;
  at("stop").hidden = !isRunning;
  at("compare").disabled = isRunning;
}

function layOut() {
  at("second").hidden = !comparing();
  at("answers").classList.toggle("two", comparing() && cards[1].text !== "");
  cards[1].element.hidden = !comparing() || cards[1].text === "";
  at("verdict").hidden = true;
}

function begin(ask) {
  const titles = comparing() ? [texts.answer_a, texts.answer_b] : [texts.answer];
  at("empty").hidden = true;
  at("verdict").hidden = true;
  at("rate-note").hidden = true;
  at("notice").open = false;
  cards[1].element.hidden = true;
  at("answers").classList.toggle("two", comparing());
  sides().forEach((card, side) => card.begin(titles[side], ask.models[side]));
}

async function run() {
  if (running) return;
  problem("");
  const ask = asked();
  if (!ask.prompt.trim()) {
    problem(texts.empty_prompt);
    at("prompt").focus();
    return;
  }
  if (ask.train && !ask.store) {
    at("notice").open = true;
    problem(noticeTexts.train_needs_store);
    return;
  }
  running = new AbortController();
  showRunning(true);
  begin(ask);
  try {
    await receive(ask);
  } catch (error) {
    finishUnfinished(running.signal.aborted ? texts.finished_stopped : texts.failed, !running.signal.aborted);
    if (running.signal.aborted) say(texts.said_stopped);
    else problem(error.told ?? texts.lost);
  } finally {
    const hadFocus = document.activeElement === at("stop");
    running = null;
    showRunning(false);
    if (hadFocus) at("run").focus();
  }
}

async function receive(ask) {
  const response = await fetch("/playground/answers", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Form-Token": formToken(), Accept: "text/event-stream, application/json" },
    body: JSON.stringify(ask),
    signal: running.signal,
  });
  if (!response.ok) throw told((await response.json()).error.message);
  say(texts.said_started);
  for await (const event of eventsOf(response)) take(event, ask);
  if (sides().some((card) => card.busy)) throw told(texts.lost);
}

function take(event, ask) {
  const card = cards[event.side];
  if (event.type === "start") stored = { prompt: event.prompt, answers: [] };
  else if (event.type === "piece") card.add(event.text);
  else if (event.type === "end") card.end(texts[`finished_${event.finish}`], fill(texts.count, event));
  else if (event.type === "error") throw told(event.message);
  else if (event.type === "done") showWhatIsKept(event, ask);
}

function showWhatIsKept(event, ask) {
  say(fill(texts.said_finished, { words: sides().reduce((sum, card) => sum + card.text.split(/\s+/).filter(Boolean).length, 0) }));
  stored.answers = event.answers;
  sides().forEach((card, side) => card.rateable(stored.prompt, event.answers[side]));
  at("rate-note").hidden = stored.prompt !== null;
  if (!stored.prompt) return;
  at("verdict").hidden = !comparing() || event.answers.includes(null);
  for (const verdict of verdicts) verdict.setAttribute("aria-pressed", "false");
  addToHistory(stored.prompt, ask.prompt);
}

function addToHistory(id, words) {
  const link = document.createElement("a");
  link.href = `/playground?prompt=${encodeURIComponent(id)}`;
  link.textContent = words.slice(0, 80);
  const item = document.createElement("li");
  item.append(link);
  at("recent").prepend(item);
  at("history-empty").hidden = true;
}

function finishUnfinished(state, failed) {
  for (const card of sides()) if (card.busy) failed ? card.fail(state) : card.end(state);
}

async function compare(verdict) {
  const better = verdict.dataset.better === "" ? null : stored.answers[Number(verdict.dataset.better)];
  const response = await post("/playground/comparisons", { prompt: stored.prompt, answers: stored.answers, better });
  if (!response.ok) return say(texts.lost);
  for (const other of verdicts) other.setAttribute("aria-pressed", String(other === verdict));
  say(texts.thanks);
}

function showConsent() {
  const line = !at("store").checked ? "summary_none" : at("train").checked ? "summary_train" : "summary_store";
  document.querySelector("[data-consent-line]").textContent = noticeTexts[line];
}

function told(message) {
  return Object.assign(new Error(message), { told: message });
}

function open(prompt) {
  at("empty").hidden = true;
  stored = { prompt: prompt.id, answers: prompt.answers.map((answer) => answer.id) };
  if (prompt.answers.length === 2) at("compare").setAttribute("aria-pressed", "true");
  const titles = comparing() ? [texts.answer_a, texts.answer_b] : [texts.answer];
  prompt.answers.forEach((answer, side) => {
    cards[side].begin(titles[side], answer.model);
    cards[side].add(answer.text);
    cards[side].end(texts[`finished_${answer.finish ?? "stopped"}`]);
    cards[side].rateable(prompt.id, answer.id);
  });
  layOut();
  at("verdict").hidden = prompt.answers.length !== 2;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});
at("stop").addEventListener("click", () => running?.abort());
at("compare").addEventListener("click", () => {
  at("compare").setAttribute("aria-pressed", String(!comparing()));
  layOut();
});
at("store").addEventListener("change", () => {
  if (!at("store").checked) at("train").checked = false;
  showConsent();
});
at("train").addEventListener("change", () => {
  problem(at("train").checked && !at("store").checked ? noticeTexts.train_needs_store : "");
  showConsent();
});
for (const slider of form.querySelectorAll("input[type=range]")) {
  slider.addEventListener("input", () => (form.querySelector(`output[for="${slider.id}"]`).value = slider.value));
}
for (const verdict of verdicts) verdict.addEventListener("click", () => compare(verdict));
for (const example of document.querySelectorAll("[data-example]")) {
  example.addEventListener("click", () => {
    at("prompt").value = example.textContent;
    at("prompt").focus();
  });
}
if (matchMedia("(max-width: 64rem)").matches) for (const id of ["settings", "history"]) at(id).open = false;
const opened = JSON.parse(form.dataset.opened);
if (opened?.answers.length) open(opened);
showConsent();
