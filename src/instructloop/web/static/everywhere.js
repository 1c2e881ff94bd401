// What every page does: colours without a reload, copying, times in the reader's own zone, menus that close, and tabs that stand where one is.

export const formToken = () => document.querySelector('meta[name="form-token"]')?.content ?? "";

export function post(path, body) {
  return fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Form-Token": formToken(), Accept: "application/json" },
    body: JSON.stringify(body),
  });
}

export async function copy(button, words) {
  const label = button.querySelector("span");
  const before = label.textContent;
  await navigator.clipboard.writeText(words);
  label.textContent = button.dataset.copied;
  setTimeout(() => (label.textContent = before), 2000);
}

function chooseTheme(form) {
  const theme = new FormData(form).get("theme");
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
}

function showLocalTimes() {
  const shown = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = shown.format(new Date(time.dateTime));
  }
}

function showWhereOneIs() {
  for (const nav of document.querySelectorAll("nav")) {
    const here = nav.querySelector('[aria-current="page"]');
    if (!here || nav.scrollWidth <= nav.clientWidth) continue;
    const [outer, inner] = [nav.getBoundingClientRect(), here.getBoundingClientRect()];
    nav.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
}

// Two clicks are one: a form that is on its way is not sent again. Downloads leave the page as it is, so it does not last.
function sendOnce(event) {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "true";
  setTimeout(() => delete form.dataset.sent, 3000);
}

document.addEventListener("submit", sendOnce);
for (const form of document.querySelectorAll("[data-theme-form]")) form.addEventListener("change", () => chooseTheme(form));
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button, button.dataset.copy));
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.menu[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
showLocalTimes();
showWhereOneIs();
