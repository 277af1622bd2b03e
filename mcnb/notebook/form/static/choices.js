// What stands at the top of a form: the choice of a workflow, and the tabs.

function makeChooser(spec, changed) {
  const choice = h("select", { id: newId(), onchange: () => changed(choice.value) });
  for (const item of spec) choice.append(h("option", { value: item.id }, item.title));
  const element = h("div", { class: "mcnb-chooser", hidden: spec.length < 2 }, h("label", { for: choice.id }, "Workflow"), choice);
  return { element, set: (id) => (choice.value = id) };
}

function makeTabs(names, changed) {
  const ids = names.map(newId);
  const panels = names.map(newId);
  const buttons = names.map((name, index) =>
    h("button", { type: "button", role: "tab", id: ids[index], "aria-controls": panels[index], onclick: () => changed(index) }, name));
  const element = h("div", { class: "mcnb-tabs", role: "tablist", "aria-label": "One run or many" }, ...buttons);
  element.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = (buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length;
    changed(next);
    buttons[next].focus();
  });
  return {
    element, ids, panels,
    set(index) {
      buttons.forEach((button, place) => {
        button.setAttribute("aria-selected", String(place === index));
        button.tabIndex = place === index ? 0 : -1;
      });
    },
  };
}
