// The runs of this form, the newest first. Choosing one shows it and puts its inputs back.

const MARKS = {
  pending: ["○", "waiting"],
  processing: ["◐", "running"],
  interrupted: ["❚❚", "waits for you"],
  cancelling: ["◐", "stopping"],
  cancelled: ["–", "stopped"],
  completed: ["✓", "finished"],
  failed: ["✕", "failed"],
};

function makeHistory(ask) {
  const summary = h("summary", {}, "History");
  const list = h("ol", { class: "mcnb-runs" });
  const element = h("details", { class: "mcnb-history", hidden: true }, summary, list);

  function row(entry, shown) {
    const [mark, word] = MARKS[entry.state] ?? ["", entry.state];
    const choose = h(
      "button",
      { type: "button", class: "mcnb-entry", "data-run": entry.run, "aria-current": entry.run === shown ? "true" : null,
        onclick: () => ask("select", { run: entry.run }) },
      h("span", { class: `mcnb-mark mcnb-is-${entry.state}`, "aria-hidden": "true" }, mark),
      h("span", { class: "mcnb-title" }, entry.title),
      h("span", { class: "mcnb-when" }, `${word} · ${entry.time}`),
    );
    const stop = entry.done ? null
      : h("button", { type: "button", class: "mcnb-quiet", "aria-label": `Stop: ${entry.title}`, onclick: () => ask("stop", { run: entry.run }) }, "Stop");
    return h("li", {}, choose, stop);
  }

  return {
    element,
    show(entries, shown) {
      const focused = element.contains(document.activeElement) ? document.activeElement.dataset.run : null;
      element.hidden = entries.length === 0;
      summary.textContent = entries.length === 1 ? "History (1 run)" : `History (${entries.length} runs)`;
      list.replaceChildren(...entries.map((entry) => row(entry, shown)));
      if (focused) list.querySelector(`[data-run="${focused}"]`)?.focus();
    },
  };
}
