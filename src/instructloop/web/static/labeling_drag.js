// Dragging with a mouse, a pen or a finger: pointer events alone. What can be dropped on says so with data-drop.

const FAR_ENOUGH = 6;

export function draggable(handle, { name, drop }) {
  handle.addEventListener("pointerdown", (down) => {
    if (down.button !== 0) return;
    const drag = { ghost: null, over: null };

    const move = (event) => {
      if (!drag.ghost && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < FAR_ENOUGH) return;
      drag.ghost ??= lift(handle, name);
      drag.ghost.style.transform = `translate(${event.clientX}px, ${event.clientY}px)`;
      aim(drag, document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-drop]") ?? null);
    };
    const end = (event) => {
      handle.removeEventListener("pointermove", move);
      for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) handle.removeEventListener(kind, end);
      const { ghost, over } = drag;
      aim(drag, null);
      ghost?.remove();
      document.documentElement.classList.remove("dragging");
      if (ghost && over && event.type === "pointerup") drop(over.dataset.drop);
      if (ghost) swallowClick(handle);
    };
    handle.setPointerCapture(down.pointerId);
    handle.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) handle.addEventListener(kind, end);
  });
}

function lift(handle, name) {
  const ghost = document.createElement("span");
  ghost.className = "chip ghost";
  ghost.textContent = name;
  ghost.setAttribute("aria-hidden", "true");
  document.body.append(ghost);
  document.documentElement.classList.add("dragging");
  return ghost;
}

function aim(drag, target) {
  if (drag.over === target) return;
  drag.over?.classList.remove("aimed");
  target?.classList.add("aimed");
  drag.over = target;
}

// The click that browsers make of the end of a drag is none.
function swallowClick(handle) {
  const swallow = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  handle.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => handle.removeEventListener("click", swallow, { capture: true }), 0);
}
