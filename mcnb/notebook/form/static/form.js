// The form: puts the parts together, sends what is asked for, and shows the news.

const WAITING = "Waiting for the kernel: it is busy with a cell, or was restarted. Then run the form's cell again.";
const GONE = "The kernel was restarted or has ended. To go on, run the notebook's cells again.";

function makeForm(model, link, el) {
  const unsent = later(send, 250);
  let held = model.get("values");
  let overrides = model.get("overrides");
  let fields = new Map();
  let parameters = null;
  let described = null;

  const title = h("h3", { id: newId() });
  const description = h("p", { class: "mcnb-note" });
  const chooser = makeChooser(model.get("spec"), (id) => {
    model.set("workflow", id);
    reach(() => model.save_changes());
  });
  const tabs = makeTabs(["One run", "Batch"], (index) => {
    model.set("mode", index ? "batch" : "one");
    reach(() => model.save_changes());
  });
  const boxes = h("div", { class: "mcnb-fields" });
  const place = h("div", {});
  const general = h("p", { class: "mcnb-message" });
  const live = h("p", { class: "mcnb-hidden", role: "status", "aria-live": "polite" });
  const run = h("button", { type: "button", class: "mcnb-main", onclick: () => ask("run", everything()) }, "Run");
  const stop = h("button", { type: "button", hidden: true, onclick: () => ask("stop", {}) }, "Stop");
  const note = h("span", { class: "mcnb-note" });
  const kernel = h("p", { class: "mcnb-note", role: "status" });
  const actions = h("div", { class: "mcnb-row mcnb-actions" }, run, stop, note);
  const output = makeOutput((type) => ask(type, { run: model.get("shown").run }));
  const pause = makePause((type, more) => ask(type, { run: model.get("shown").run, ...more }));
  const history = makeHistory((type, more) => ask(type, more));
  const batch = makeBatch((type, more) => ask(type, type === "batch" ? { ...everything(), ...more } : (more ?? {})));
  batch.source.onchange(arrange);
  const one = h("div", { class: "mcnb-panel", role: "tabpanel", id: tabs.panels[0], "aria-labelledby": tabs.ids[0] });
  const many = h("div", { class: "mcnb-panel", role: "tabpanel", id: tabs.panels[1], "aria-labelledby": tabs.ids[1] });
  const root = h(
    "section", { class: "mcnb-form", "aria-labelledby": title.id },
    h("header", {}, title, chooser.element, tabs.element), description, one, many, live);
  el.append(root);

  root.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    (model.get("mode") === "batch" ? batch.actions : actions).querySelector("button").click();
  });

  // --- what is asked for

  function everything() {
    unsent.cancel();
    return { workflow: model.get("workflow"), mode: model.get("mode"), values: held, overrides };
  }

  function send() {
    model.set({ values: held, overrides }); // both at once: the change of one must not bring the old other back
    reach(() => model.save_changes());
  }

  const unanswered = later(() => hint(WAITING), 1500);

  function hint(text) {
    kernel.textContent = text;
  }

  function ask(type, more) {
    unsent.flush();
    reach(() => {
      unanswered();
      model.send({ type, ...more }, { iopub: { status: (message) => message.content.execution_state === "idle" && answered() } });
    });
  }

  function answered() {
    unanswered.cancel();
    hint("");
  }

  /** Send something to the kernel; where its end of the line is gone, say so. */
  function reach(work) {
    try {
      work();
    } catch {
      unanswered.cancel();
      hint(GONE);
    }
  }

  // --- what is shown

  function build() {
    described = model.get("spec").find((item) => item.id === model.get("workflow")) ?? model.get("spec")[0];
    const id = described.id;
    title.textContent = described.title;
    description.textContent = described.description;
    description.hidden = !described.description;
    chooser.set(id);
    fields = new Map(described.fields.map((field) => [field.name, makeField(field, (value) => {
      held = { ...held, [id]: { ...held[id], [field.name]: value } };
      unsent();
    })]));
    parameters = makeParameters(described.parameters, described.seed, overrides[id] ?? {}, (values) => {
      overrides = { ...overrides, [id]: values };
      unsent();
    }, () => ask("dice", {}));
    boxes.replaceChildren(...[...fields.values()].map((field) => field.element));
    batch.source.offer(described.fields.filter((field) => described.lines.includes(field.name)));
    fill();
    arrange();
  }

  function fill() {
    held = model.get("values");
    overrides = model.get("overrides");
    const values = held[described.id] ?? {};
    for (const [name, field] of fields) if (name in values) field.set(values[name]);
    parameters.set(overrides[described.id] ?? {});
  }

  /** Put the shared parts into the panel of the mode. */
  function arrange() {
    if (!described) return;
    const isBatch = model.get("mode") === "batch";
    tabs.set(isBatch ? 1 : 0);
    one.hidden = isBatch;
    many.hidden = !isBatch;
    const filled = isBatch ? batch.source.filled() : "";
    for (const [name, field] of fields) field.element.hidden = name === filled;
    place.replaceChildren(boxes, parameters.element, general);
    if (isBatch) many.replaceChildren(batch.source.element, place, batch.actions, kernel, batch.results);
    else one.replaceChildren(place, actions, kernel, pause.element, output.element, history.element);
    for (const area of root.querySelectorAll("textarea")) grow(area);
  }

  function complain() {
    const errors = model.get("errors");
    for (const [name, field] of fields) field.complain(errors[name]);
    parameters.complain(errors);
    pause.complain(errors["pause.answer"]);
    batch.complain(errors);
    general.textContent = errors[""] ?? "";
    const first = Object.values(errors)[0];
    if (first) say(first);
  }

  function focus(name) {
    if (name.startsWith("parameters.")) parameters.focus(name.slice("parameters.".length));
    else if (name.startsWith("batch.")) batch.source.focus();
    else fields.get(name)?.focus();
  }

  function say(text) {
    if (live.textContent !== text) live.textContent = text;
  }

  let said = "";
  function stand() {
    const shown = model.get("shown");
    output.show(shown);
    pause.show(shown);
    if (shown.done) {
      output.view.replace(model.get("text"));
      output.view.flush();
      parameters?.used(shown.seed);
    } else if (link.stream.run === shown.run) output.view.replace(link.stream.text);
    if (shown.run) {
      const word = MARKS[shown.state]?.[1] ?? shown.state;
      const told = `${shown.run} ${shown.state}`;
      if (told !== said) say(shown.state === "failed" ? `Failed: ${shown.line}` : `The run is ${word}.`);
      said = told;
    }
    queue();
  }

  function queue() {
    const entries = model.get("history");
    const open = entries.filter((entry) => !entry.done);
    stop.hidden = !model.get("shown").run || model.get("shown").done === true;
    const waiting = open.filter((entry) => entry.run !== model.get("shown").run).length;
    note.textContent = waiting ? (waiting === 1 ? "1 run is waiting" : `${waiting} runs are waiting`) : "";
    history.show(entries, model.get("shown").run);
  }

  function news(message) {
    if (message.type === "focus") focus(message.field);
    else if (message.type === "code") output.code.show(message.code);
    else if (message.type === "variables") batch.source.variables(message.names);
    else if (message.type === "saved") batch.saved(message.name);
    else if (message.type === "rows") batch.show(message);
  }

  function streamed(what) {
    const { run: id, text, line, fraction } = link.stream;
    if (id !== model.get("shown").run || model.get("shown").done) return;
    if (what === "append") output.view.append(text.slice(output.view.text().length));
    if (what === "replace") output.view.replace(text);
    if (line) output.news(line, fraction);
  }

  model.on("change:workflow", build);
  model.on("change:mode", () => {
    if (model.get("mode") === "batch") ask("variables", {});
    arrange();
  });
  model.on("change:values", fill);
  model.on("change:overrides", fill);
  model.on("change:errors", complain);
  model.on("change:shown", stand);
  model.on("change:history", queue);
  model.on("change:batch", () => batch.show(model.get("batch")));

  build();
  complain();
  stand();
  batch.show(model.get("batch"));
  return { news, streamed };
}

export default () => {
  const views = new Set();
  let link = null;
  return {
    initialize({ model }) {
      link = makeStream(model);
      model.on("msg:custom", (message) => {
        const isStream = message.type === "news" || message.type === "whole";
        const what = isStream ? link.take(message) : "";
        for (const view of views) {
          if (!isStream) view.news(message);
          else if (what) view.streamed(what);
        }
      });
      const shown = model.get("shown");
      if (shown.run && !shown.done) model.send({ type: "sync" }); // the page was opened while it runs
    },
    render({ model, el }) {
      const view = makeForm(model, link, el);
      views.add(view);
      return () => views.delete(view);
    },
  };
};
