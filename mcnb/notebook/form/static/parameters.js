// The generation parameters of the document, and what this run sets in their place.

/**
 * Make the section of generation parameters.
 *
 * @param described the parameters as the kernel describes them
 * @param held what the controls hold: texts by name, `seed` and `seed_locked`
 * @param changed called with all of it after every change by hand
 * @param dice called when a new seed is wanted
 */
function makeParameters(described, seedOfDocument, held, changed, dice) {
  let values = { ...held };
  const controls = new Map();
  const summary = h("summary", {}, "Parameters");
  const grid = h("div", { class: "mcnb-grid" });

  function update(name, value) {
    values = { ...values, [name]: value };
    tell();
    changed(values);
  }

  function tell() {
    const set = described.filter((parameter) => (values[parameter.name] ?? "") !== "").length + (values.seed_locked ? 1 : 0);
    summary.textContent = set ? `Parameters (${set} set for this run)` : "Parameters";
  }

  for (const parameter of described) {
    const control = makeField(asField(parameter), (value) => update(parameter.name, value));
    controls.set(parameter.name, control);
    grid.append(control.element);
  }

  const seed = makeField(
    {
      name: "seed", label: "seed", kind: "string", default: "",
      placeholder: seedOfDocument ? `${seedOfDocument}, from the file` : "drawn for each run",
      description: "The same seed gives the same text.",
    },
    (value) => {
      lock.checked = value.trim() !== "";
      values = { ...values, seed_locked: lock.checked };
      update("seed", value.trim());
    },
  );
  const lock = h("input", { type: "checkbox", id: newId() });
  lock.addEventListener("change", () => update("seed_locked", lock.checked));
  const roll = h("button", { type: "button", class: "mcnb-quiet", onclick: dice }, "Roll the dice");
  const keep = h("span", { class: "mcnb-check" }, lock, h("label", { for: lock.id }, "Keep this seed"));
  seed.element.append(h("div", { class: "mcnb-row" }, roll, keep));
  grid.append(seed.element);
  controls.set("seed", seed);

  const element = h("details", { class: "mcnb-parameters" }, summary, grid);
  set(held);

  function set(next) {
    values = { ...next };
    for (const [name, control] of controls) control.set(String(values[name] ?? ""));
    lock.checked = values.seed_locked === true;
    tell();
  }

  return {
    element,
    set,
    /** Put the seed of a finished run into an unlocked field, so that it can be kept. */
    used(number) {
      if (lock.checked || number === undefined) return;
      values = { ...values, seed: String(number) };
      seed.set(String(number));
    },
    values: () => values,
    complain(errors) {
      for (const [name, control] of controls) {
        const text = errors[`parameters.${name}`];
        control.complain(text);
        if (text) element.open = true;
      }
    },
    focus: (name) => controls.get(name)?.focus(),
  };
}

function asField(parameter) {
  const from = parameter.source === "document" ? "from the file" : "default";
  const shared = { ...parameter, default: "", placeholder: `${parameter.default} (${from})`, required: false };
  if (parameter.kind !== "boolean") return { ...shared, kind: "parameter" };
  return { ...shared, kind: "choice" };
}

// A parameter that is not set shows the document's value as a hint; a slider or a tick could not.
CONTROLS.parameter = (field, id, changed) => numberControl({ ...field, low: undefined, high: undefined }, id, changed);
CONTROLS.choice = (field, id, changed) => {
  const input = h("select", {}, h("option", { value: "" }, field.placeholder));
  for (const option of ["true", "false"]) input.append(h("option", { value: option }, option));
  input.addEventListener("change", () => changed(input.value));
  return { input, value: () => input.value, set: (value) => (input.value = value) };
};
