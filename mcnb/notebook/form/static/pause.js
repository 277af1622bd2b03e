// A run that waits for a person: what it has, to be edited, and how to go on.

function makePause(ask) {
  const id = newId();
  const title = h("label", { for: id });
  const message = h("p", { class: "mcnb-note", id: `${id}-note` });
  const area = growingArea({ id, "aria-describedby": `${id}-note ${id}-message` });
  const complaint = h("p", { class: "mcnb-message", id: `${id}-message` });
  const element = h(
    "section", { class: "mcnb-pause", "aria-label": "The run waits for you", hidden: true },
    title, message, area, complaint,
    h("div", { class: "mcnb-row" },
      h("button", { type: "button", class: "mcnb-main", onclick: () => ask("resume", { answer: area.value }) }, "Continue"),
      h("button", { type: "button", onclick: () => ask("stop", {}) }, "Stop")),
  );
  let shown = null;

  return {
    element,
    show(standing) {
      const pause = standing.pause;
      element.hidden = !pause;
      if (!pause) {
        shown = null;
        return;
      }
      const key = `${standing.run} ${pause.job} ${pause.phase}`;
      if (key === shown) return; // what is being edited stays
      shown = key;
      const where = pause.job ? ` ${pause.phase} “${pause.job}”` : "";
      title.textContent = `The run waits for you${where}`;
      message.textContent = pause.message || "Edit it or leave it as it is, then go on.";
      area.value = pause.value;
      area.classList.toggle("mcnb-code", !pause.is_text);
      complaint.textContent = "";
      requestAnimationFrame(() => {
        grow(area);
        area.focus();
      });
    },
    complain(text) {
      complaint.textContent = text ?? "";
      area.setAttribute("aria-invalid", text ? "true" : "false");
      if (text) area.focus();
    },
  };
}
