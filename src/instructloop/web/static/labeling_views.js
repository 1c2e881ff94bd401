// What stands on the stage at each step of a task: an answer to rate, the final decision, or everything at once.

import { Decision } from "/static/labeling_deciding.js";
import { control } from "/static/labeling_form.js";
import { RankingBoard } from "/static/labeling_ranking.js";
import { fill, kbd, keyOf, make } from "/static/labeling_texts.js";
import { groupsOf, ranksOf } from "/static/labeling_ranks.js";

const JUDGING = ["ranking", "preference"];
const each = (task) => task.questions.filter((question) => question.each);
const once = (task) => task.questions.filter((question) => !question.each);

// The names of the steps: an answer each, then the decision; tasks that judge nothing have one step.
export const stepsOf = (task) => (each(task).length ? [...task.answers.map((answer) => answer.name), null] : [null]);

export function viewOf(task, step, desk) {
  if (step !== null) return ratingView(task, step, desk);
  const judging = once(task).find((question) => JUDGING.includes(question.form));
  return judging ? decidingView(task, judging, desk) : together(once(task).map((question) => control(question, plainHost(desk))), "asking-all");
}

// The answer in the form the server takes.
export function bodyOf(task, answer) {
  const names = task.answers.map((one) => one.name);
  const body = {};
  if (each(task).length) body.ratings = Object.fromEntries(names.map((name) => [name, rating(task, answer, name)]));
  for (const { name, form } of once(task)) body[name] = form === "ranking" ? groupsOf(answer.ranks ?? {}, names) : (answer[name] ?? null);
  for (const { name, form } of once(task)) if (form === "choices") body[name] ??= [];
  return body;
}

// What was submitted, as the page keeps it.
export function answerOf(body) {
  const { groups, ...rest } = body;
  return groups ? { ...rest, ranks: ranksOf(groups) } : rest;
}

export const charactersOf = (body) => {
  if (typeof body === "string") return body.length;
  if (body === null || typeof body !== "object") return 0;
  return Object.values(body).reduce((sum, value) => sum + charactersOf(value), 0);
};

function rating(task, answer, name) {
  const given = answer.ratings?.[name] ?? {};
  return Object.fromEntries(each(task).map((question) => [question.name, given[question.name] ?? (question.form === "choices" ? [] : question.form === "note" ? "" : null)]));
}

const plainHost = (desk) => ({
  ...desk.words,
  id: "once",
  say: desk.say,
  read: (name) => desk.answer()[name],
  write: (name, value, options) => desk.change({ ...desk.answer(), [name]: value }, options),
});

function ratingView(task, name, desk) {
  const { text } = task.answers.find((answer) => answer.name === name);
  const read = () => desk.answer().ratings?.[name] ?? {};
  const host = {
    ...desk.words,
    id: `of-${name}`,
    answer: name,
    say: desk.say,
    read: (key) => read()[key],
    write(key, value, options) {
      desk.change({ ...desk.answer(), ratings: { ...desk.answer().ratings, [name]: { ...read(), [key]: value } } }, options);
      if (key === "likert") desk.say(fill(desk.words.texts.said_likert, { name, likert: value }));
    },
  };
  const form = together(each(task).map((question) => control(question, host)), "rating-form");
  const region = make("div", { class: "card-text reading", tabIndex: 0, role: "region", "aria-label": fill(desk.words.texts.text_of, { name }) }, text);
  const title = make("h2", { class: "answer-title" }, make("span", { class: "letter", "aria-hidden": "true" }, name), fill(desk.words.texts.answer, { name }));
  const element = make("div", { class: "rating-step" }, make("article", { class: "answer-card alone" }, make("header", {}, title), region), form.element);
  return { ...form, element, focus: (missing) => (missing ? form.focus() : region.focus({ preventScroll: true })) };
}

function decidingView(task, question, desk) {
  const { texts, questions } = desk.words;
  const host = {
    answers: task.answers,
    texts,
    say: desk.say,
    title: questions[`${question.name}.label`],
    hint: questions[`${question.name}.hint`],
    rating: (name) => desk.answer().ratings?.[name]?.likert,
  };
  const board =
    question.form === "ranking"
      ? new RankingBoard({ ...host, read: () => desk.answer().ranks ?? {}, write: (ranks) => desk.change({ ...desk.answer(), ranks }) })
      : new Decision({ ...host, read: () => desk.answer()[question.name], write: (value) => desk.change({ ...desk.answer(), [question.name]: value }) });
  const others = once(task).filter((one) => one !== question).map((one) => folded(control(one, plainHost(desk)), desk, one));
  const parts = together([board, ...others], "deciding");
  return { ...parts, focus: () => board.focus() };
}

// An optional text that most people leave out stands behind one press.
function folded(part, desk, question) {
  const details = make("details", { class: "folded" }, make("summary", { class: "button small" }, desk.words.texts.better_open, kbd("B")), part.element);
  return {
    ...part,
    element: details,
    refresh() {
      part.refresh();
      if (desk.answer()[question.name]) details.open = true;
    },
    key(event) {
      if (keyOf(event) !== "b") return part.key(event);
      details.open = true;
      part.focus();
      return true;
    },
  };
}

function together(parts, className) {
  return {
    element: make("div", { class: className }, ...parts.map((part) => part.element)),
    refresh: () => parts.forEach((part) => part.refresh()),
    missing: () => parts.map((part) => part.missing()).find(Boolean) ?? null,
    focus: () => (parts.find((part) => part.missing()) ?? parts[0]).focus(),
    key: (event) => parts.some((part) => part.key(event)),
  };
}
