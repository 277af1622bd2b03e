// Many rows in one go: where they come from, how they get on, what came out.

const SOURCES = {
  lines: { label: "Lines", note: "One item a line." },
  variable: { label: "Variable of the notebook", note: 'A list or a column, like names or df["prompt"]; or a whole table.' },
  file: { label: "File", note: "CSV, JSONL or Parquet; its columns are the inputs." },
};

function makeBatch(ask) {
  const source = makeSource();
  const run = h("button", { type: "button", class: "mcnb-main", onclick: () => ask("batch", source.values()) }, "Run batch");
  const stop = h("button", { type: "button", hidden: true, onclick: () => ask("batch-stop") }, "Stop");
  const actions = h("div", { class: "mcnb-row mcnb-actions" }, run, stop);
  const results = makeResults(ask);

  return {
    source,
    actions,
    results: results.element,
    complain(errors) {
      source.complain(errors["batch.value"]);
      results.complain(errors["batch.name"]);
    },
    show(standing) {
      const busy = Boolean(standing.state) && !standing.done;
      run.disabled = busy;
      stop.hidden = !busy;
      results.show(standing);
    },
    saved: results.saved,
  };
}

function makeSource() {
  const kind = h("select", { id: newId() });
  for (const [name, { label }] of Object.entries(SOURCES)) kind.append(h("option", { value: name }, label));
  const fill = h("select", { id: newId() });
  const fillRow = h("div", { class: "mcnb-field" }, h("label", { for: fill.id }, "Fills the input"), fill);
  const names = h("datalist", { id: newId() });
  const area = growingArea({ rows: 4, spellcheck: "true" });
  const box = h("input", { type: "text", list: names.id });
  const id = newId();
  const label = h("label", { for: id });
  const note = h("p", { class: "mcnb-note", id: `${id}-note` });
  const message = h("p", { class: "mcnb-message", id: `${id}-message` });
  const place = h("div", {});
  const element = h(
    "div", { class: "mcnb-source" },
    h("div", { class: "mcnb-grid" },
      h("div", { class: "mcnb-field" }, h("label", { for: kind.id }, "Rows from"), kind), fillRow),
    h("div", { class: "mcnb-field" }, label, place, note, message), names,
  );
  let changed = () => {};
  let input = area;
  kind.addEventListener("change", tell);
  fill.addEventListener("change", () => changed());

  function tell() {
    const { label: text, note: words } = SOURCES[kind.value];
    input.removeAttribute("id");
    input = kind.value === "lines" ? area : box;
    input.id = id;
    input.setAttribute("aria-describedby", `${id}-note ${id}-message`);
    label.textContent = text;
    note.textContent = words;
    message.textContent = "";
    place.replaceChildren(input);
    if (input === area) grow(area);
    changed();
  }
  tell();

  return {
    element,
    onchange(work) {
      changed = work;
    },
    /** The inputs that lines can fill. */
    offer(fields) {
      const before = fill.value;
      fill.replaceChildren(...fields.map((field) => h("option", { value: field.name }, field.label)));
      if (fields.some((field) => field.name === before)) fill.value = before;
      fillRow.hidden = fields.length < 2;
      if (fields.length === 0 && kind.value === "lines") kind.value = "file";
      tell();
    },
    variables(found) {
      names.replaceChildren(...found.map((name) => h("option", { value: name })));
    },
    /** The field that needs no control of its own, because the rows fill it. */
    filled: () => (kind.value === "file" ? "" : fill.value),
    values: () => ({ source: kind.value, value: input.value, field: fill.value }),
    complain(text) {
      message.textContent = text ?? "";
      input.setAttribute("aria-invalid", text ? "true" : "false");
    },
    focus: () => input.focus(),
  };
}

function makeResults(ask) {
  const line = h("p", { class: "mcnb-line" });
  const bar = h("div", { class: "mcnb-bar", role: "progressbar", "aria-label": "Progress of the batch" }, h("div", {}));
  const body = h("tbody", {});
  const table = h(
    "div", { class: "mcnb-table", tabindex: 0, role: "region", "aria-label": "Results of the batch" },
    h("table", {},
      h("thead", {}, h("tr", {}, ...["#", "Input", "Result"].map((name) => h("th", { scope: "col" }, name)))), body));
  const more = h("p", { class: "mcnb-note", hidden: true });
  const retry = h("button", { type: "button", hidden: true, onclick: () => ask("batch-retry") }, "Retry failed rows");
  const name = h("input", { type: "text", id: newId(), value: "results", size: 12 });
  const save = h("button", { type: "button", onclick: () => ask("batch-save", { name: name.value }) }, "Save");
  const note = h("p", { class: "mcnb-note" });
  const message = h("p", { class: "mcnb-message" });
  const keep = h("div", { class: "mcnb-row mcnb-save" }, retry, h("label", { for: name.id }, "Save as variable"), name, save);
  const element = h("section", { class: "mcnb-output", "aria-label": "Results", hidden: true }, bar, line, table, more, keep, message, note);
  const rows = new Map();

  function put(row) {
    const cells = [h("td", {}, String(row.number)), h("td", {}, row.input), h("td", {}, ...result(row))];
    let element_ = rows.get(row.number);
    if (!element_) {
      element_ = h("tr", {});
      rows.set(row.number, element_);
      body.append(element_);
    }
    element_.dataset.state = row.state;
    element_.replaceChildren(...cells);
  }

  function result(row) {
    const [mark, word] = MARKS[row.state] ?? ["", row.state];
    if (row.state === "completed") return [row.text];
    const failed = row.state === "failed";
    return [h("span", { class: `mcnb-mark mcnb-is-${row.state}` }, `${mark} ${word}${failed ? ": " : ""}`), failed ? row.text : ""];
  }

  return {
    element,
    show(standing) {
      element.hidden = !standing.state;
      if (!standing.state) return;
      if (standing.total < rows.size) {
        rows.clear();
        body.replaceChildren();
      }
      for (const row of standing.rows ?? []) put(row);
      line.textContent = standing.line;
      bar.hidden = standing.done;
      bar.firstChild.style.width = `${(100 * standing.finished) / Math.max(1, standing.total)}%`;
      bar.setAttribute("aria-valuenow", String(Math.round((100 * standing.finished) / Math.max(1, standing.total))));
      more.hidden = standing.total <= rows.size;
      more.textContent = `and ${standing.total - rows.size} more: save them as a variable to see all`;
      keep.hidden = !standing.done;
      const stopped = standing.state === "cancelled";
      retry.hidden = standing.failed === 0 && !stopped;
      retry.textContent = stopped ? "Run the rest" : "Retry failed rows";
      if (!standing.done) note.textContent = "";
    },
    saved(variable) {
      message.textContent = "";
      note.textContent = `Saved. In a cell: ${variable}`;
    },
    complain(text) {
      message.textContent = text ?? "";
    },
  };
}
