// Lists of which several things are ticked: tick all, and say how many. Files that are being written: look again, unless somebody is at the form.

function watch(form) {
  const boxes = [...form.querySelectorAll('.picks input[type="checkbox"]')];
  const all = form.querySelector("[data-all]");
  const told = form.querySelector("[data-picked]");
  if (!all) return;
  const tell = () => {
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    told.textContent = count ? told.dataset.words.replace("{count}", count) : "";
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  form.addEventListener("change", tell);
}

for (const form of document.querySelectorAll("form[data-bulk]")) watch(form);

function lookAgain() {
  if (document.activeElement === document.body) location.reload();
  else setTimeout(lookAgain, 2000);
}

if (document.querySelector("[data-unfinished]")) setTimeout(lookAgain, 2000);
