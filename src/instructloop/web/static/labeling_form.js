// Questions as controls. Each is {element, refresh(), missing() -> words or null, focus(), key(event) -> taken}. Nothing is chosen in advance.

import { fill, kbd, keyOf, make } from "/static/labeling_texts.js";

export const LETTERS = "qwertyuiopa";
const DIGITS = "1234567890";

// `host`: id, read(name), write(name, value, {typed}), texts, questions, choices, say(words).
export function control(question, host) {
  const makers = { text: words, part: words, note: words, choice, choices, scale, shots };
  return makers[question.form](question, host);
}

const label = (question, host, part) => host.questions[`${question.name}.${part}`];

function titled(question, host, ...children) {
  const hint = make("p", { class: "hint", id: `${host.id}-${question.name}-hint` }, label(question, host, "hint"));
  return make("fieldset", { class: "plain-set asking", "aria-describedby": hint.id }, make("legend", { class: "label" }, label(question, host, "label")), hint, ...children);
}

function words(question, host) {
  const id = `${host.id}-${question.name}`;
  const small = question.form === "note";
  const count = make("span", { class: "hint number", "aria-hidden": "true" });
  const area = make("textarea", {
    class: `area${small ? "" : question.form === "part" ? " reading" : " writing reading"}`, id, rows: small ? 2 : question.form === "part" ? 3 : 8, spellcheck: true, "aria-describedby": `${id}-hint`,
    oninput: () => { host.write(question.name, area.value, { typed: true }); tell(); },
  });
  const tell = () => (count.textContent = fill(host.texts.words, { count: area.value.split(/\s+/).filter(Boolean).length }));
  const head = make("span", { class: "slider-head" }, make("label", { class: "label", htmlFor: id }, label(question, host, "label"), question.form === "note" ? kbd("N") : null), small ? null : count);
  return {
    element: make("div", { class: "field" }, head, make("p", { class: "hint", id: `${id}-hint` }, label(question, host, "hint")), area),
    refresh() {
      const value = host.read(question.name) ?? "";
      if (area.value !== value) area.value = value;
      tell();
    },
    missing: () => (question.needed && !host.read(question.name)?.trim() ? host.texts.missing_text : null),
    focus: () => area.focus(),
    key(event) {
      if (question.form !== "note" || keyOf(event) !== "n") return false;
      area.focus();
      return true;
    },
  };
}

function scale(question, host) {
  const name = `${host.id}-${question.name}`;
  const radios = [1, 2, 3, 4, 5, 6, 7].map((number) =>
    make("input", { type: "radio", name, value: String(number), "aria-label": String(number), onchange: () => choose(number) }),
  );
  const choose = (number) => host.write(question.name, number);
  const segments = make("div", { class: "segments scale" }, ...radios.map((radio) => make("label", {}, radio, make("kbd", {}, radio.value))));
  return {
    element: titled(question, host, segments),
    refresh() {
      for (const radio of radios) radio.checked = Number(radio.value) === host.read(question.name);
    },
    missing: () => (host.read(question.name) ? null : fill(host.texts.missing_likert, { name: host.answer })),
    focus: () => (radios.find((radio) => radio.checked) ?? radios[0]).focus(),
    key(event) {
      if (!/^[1-7]$/.test(event.key)) return false;
      choose(Number(event.key));
      return true;
    },
  };
}

function choices(question, host) {
  const chosen = () => host.read(question.name) ?? [];
  const toggle = (name) => host.write(question.name, chosen().includes(name) ? chosen().filter((one) => one !== name) : [...chosen(), name]);
  const boxes = question.choices.map((name) => make("input", { type: "checkbox", value: name, onchange: () => toggle(name) }));
  const rows = boxes.map((box, place) =>
    make("label", { class: "tick flag" }, box, make("span", {}, host.choices[`${question.name}.${box.value}`]), kbd(LETTERS[place].toUpperCase())),
  );
  return {
    element: titled(question, host, make("div", { class: "flags" }, ...rows)),
    refresh() {
      for (const box of boxes) box.checked = chosen().includes(box.value);
    },
    missing: () => null,
    focus: () => boxes[0].focus(),
    key(event) {
      const place = LETTERS.indexOf(keyOf(event));
      if (event.key.length !== 1 || place < 0 || place >= boxes.length) return false;
      toggle(boxes[place].value);
      return true;
    },
  };
}

function choice(question, host) {
  const name = `${host.id}-${question.name}`;
  const values = question.needed ? question.choices : [...question.choices, ""];
  const radios = values.map((value) => make("input", { type: "radio", name, value, onchange: () => host.write(question.name, value || null) }));
  const named = (value) => (value ? host.choices[`${question.name}.${value}`] : host.texts.no_choice);
  const tiles = radios.map((radio, place) =>
    make("label", { class: "choice one-line" }, radio, make("span", { class: "choice-name" }, named(radio.value)), DIGITS[place] ? kbd(DIGITS[place]) : null),
  );
  return {
    element: titled(question, host, make("div", { class: "choices tight" }, ...tiles)),
    refresh() {
      const value = host.read(question.name);
      for (const radio of radios) radio.checked = value !== undefined && radio.value === (value ?? "");
    },
    missing: () => (question.needed && !host.read(question.name) ? host.texts.missing_choice : null),
    focus: () => radios[0].focus(),
    key(event) {
      const radio = radios[DIGITS.indexOf(event.key)];
      if (event.key.length !== 1 || !radio) return false;
      host.write(question.name, radio.value || null);
      return true;
    },
  };
}

function shots(question, host) {
  const list = make("ol", { class: "shots" });
  const read = () => host.read(question.name) ?? [{ query: "", response: "" }, { query: "", response: "" }];
  const write = (place, part, value) => host.write(question.name, read().map((shot, at) => (at === place ? { ...shot, [part]: value } : shot)), { typed: true });
  const add = make("button", { type: "button", class: "button small", onclick: () => change([...read(), { query: "", response: "" }], read().length) }, host.texts.add_shot);
  let drawn = -1;

  function change(shots_, focus) {
    host.write(question.name, shots_);
    draw();
    if (focus !== undefined) list.children[focus]?.querySelector("textarea").focus();
  }
  function half(place, part) {
    const id = `${host.id}-shot-${place}-${part}`;
    const area = make("textarea", { class: "area", id, rows: 2, value: read()[place][part], data: { part }, oninput: () => write(place, part, area.value) });
    return make("div", { class: "field" }, make("label", { class: "label", htmlFor: id }, host.texts[part]), area);
  }
  function draw() {
    const shown = read();
    drawn = shown.length;
    const remove = (place) => (shown.length > 2 ? make("button", { type: "button", class: "button quiet small", onclick: () => change(read().filter((_, at) => at !== place), Math.max(0, place - 1)) }, fill(host.texts.remove_shot, { number: place + 1 })) : null);
    list.replaceChildren(...shown.map((_, place) => make("li", { class: "shot", "aria-label": fill(host.texts.shot, { number: place + 1 }) }, half(place, "query"), half(place, "response"), remove(place))));
  }
  return {
    element: titled(question, host, list, make("div", {}, add)),
    refresh() {
      if (drawn !== read().length) return draw();
      read().forEach((shot, place) => {
        for (const area of list.children[place].querySelectorAll("textarea")) if (area.value !== shot[area.dataset.part]) area.value = shot[area.dataset.part];
      });
    },
    missing: () => (read().every((shot) => shot.query.trim() && shot.response.trim()) ? null : host.texts.missing_shots),
    focus: () => [...list.querySelectorAll("textarea")].find((area) => !area.value.trim())?.focus(),
    key: () => false,
  };
}
