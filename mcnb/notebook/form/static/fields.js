// One control for each input: labelled, described, with its message underneath.

/**
 * Make the control of one field.
 *
 * @param field as the kernel describes it: name, label, description, kind, required, default, placeholder, ...
 * @param changed called with the new value after every change by hand
 * @returns {{element, value, set, complain, focus}}
 */
function makeField(field, changed) {
  const id = newId();
  const note = h("p", { class: "mcnb-note", id: `${id}-note` }, noteOf(field));
  const message = h("p", { class: "mcnb-message", id: `${id}-message` });
  const control = CONTROLS[field.kind] ?? CONTROLS.string;
  const made = control(field, id, (value) => {
    complain(ownComplaint(field, value));
    changed(value);
  });
  const input = made.input;
  input.id = id;
  if (field.required) input.setAttribute("aria-required", "true");
  input.setAttribute("aria-describedby", `${id}-note ${id}-message`);
  const label = h("label", { for: id }, field.label);
  if (field.required) label.append(h("span", { class: "mcnb-required", title: "required" }, " *"));

  function complain(text) {
    message.textContent = text ?? "";
    input.setAttribute("aria-invalid", text ? "true" : "false");
  }

  const body = made.body ?? input;
  const parts = made.labelAfter ? [h("div", { class: "mcnb-check" }, body, label)] : [label, body];
  const element = h("div", { class: `mcnb-field mcnb-kind-${field.kind}`, "data-field": field.name }, ...parts, note, message);
  return {
    element,
    value: made.value,
    set(value) {
      if (made.value() === value) return;
      made.set(value);
      complain("");
    },
    complain,
    focus: () => input.focus(),
  };
}

function noteOf(field) {
  const hints = { list: "One item a line.", json: "JSON." };
  return [field.description, hints[field.kind]].filter(Boolean).join(" ");
}

/** What can be said about a value without asking the kernel. */
function ownComplaint(field, value) {
  if (field.kind !== "json" || !value.trim()) return "";
  try {
    JSON.parse(value);
    return "";
  } catch (error) {
    return `Not valid JSON yet: ${error.message}`;
  }
}

function textControl(make) {
  return (field, id, changed) => {
    const input = make(field);
    input.value = field.default;
    input.addEventListener("input", () => changed(input.value));
    return {
      input,
      value: () => input.value,
      set(value) {
        input.value = value;
        if (input.tagName === "TEXTAREA") grow(input);
      },
    };
  };
}

function numberControl(field, id, changed) {
  const limits = { min: field.low, max: field.high, step: field.step ?? "any" };
  // "any": what does not lie on a step is told by the kernel, in words, and not by the browser's own bubble
  const input = h("input", { type: "number", ...limits, step: "any", inputmode: "decimal", placeholder: field.placeholder });
  input.value = field.default;
  const isSlider = Number.isFinite(field.low) && Number.isFinite(field.high);
  const slider = isSlider ? h("input", { type: "range", ...limits, "aria-label": `${field.label} (slider)` }) : null;
  if (slider) slider.value = field.default === "" ? field.low : field.default;
  input.addEventListener("input", () => {
    if (slider && input.value !== "") slider.value = input.value;
    changed(input.value);
  });
  slider?.addEventListener("input", () => {
    input.value = slider.value;
    changed(input.value);
  });
  return {
    input,
    body: slider ? h("div", { class: "mcnb-slider" }, slider, input) : input,
    value: () => input.value,
    set(value) {
      input.value = value;
      if (slider && value !== "") slider.value = value;
    },
  };
}

const CONTROLS = {
  text: textControl((field) => growingArea({ placeholder: field.placeholder, spellcheck: "true" })),
  string: textControl((field) => h("input", { type: "text", placeholder: field.placeholder })),
  list: textControl((field) => growingArea({ placeholder: field.placeholder })),
  json: textControl((field) => growingArea({ placeholder: field.placeholder, class: "mcnb-code" })),
  integer: numberControl,
  number: numberControl,
  boolean(field, id, changed) {
    const input = h("input", { type: "checkbox" });
    input.checked = field.default === true;
    input.addEventListener("change", () => changed(input.checked));
    return { input, labelAfter: true, value: () => input.checked, set: (value) => (input.checked = value === true) };
  },
  select(field, id, changed) {
    const input = h("select", {});
    if (!field.default) input.append(h("option", { value: "" }, field.required ? "Choose" : ""));
    for (const option of field.options) input.append(h("option", { value: option }, option));
    input.value = field.default;
    input.addEventListener("change", () => changed(input.value));
    return { input, value: () => input.value, set: (value) => (input.value = value) };
  },
};
