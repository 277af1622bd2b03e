// Elements, ids, and the small things every part needs.

const TAKES_KEYS = ["button", "input", "select", "summary", "textarea"];

/** Build an element: h("p", {class: "note", onclick: f}, "text", child). A null child is left out. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  // JupyterLab looks at the focused element alone: without this, "d d" on a button deletes a cell
  if (TAKES_KEYS.includes(tag) || "tabindex" in properties) element.setAttribute("data-lm-suppress-shortcuts", "true");
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let lastId = 0;

/** An id that no other element of the page has. */
function newId() {
  lastId += 1;
  return `mcnb-${Date.now().toString(36)}-${lastId}`;
}

/** Call `work` once, when nobody asked for `milliseconds`; `.flush()` does not wait any longer, `.cancel()` forgets. */
function later(work, milliseconds) {
  let timer = null;
  const asked = () => {
    clearTimeout(timer);
    timer = setTimeout(asked.flush, milliseconds);
  };
  asked.cancel = () => {
    clearTimeout(timer);
    timer = null;
  };
  asked.flush = () => {
    if (timer === null) return;
    asked.cancel();
    work();
  };
  return asked;
}

/** Make a text area as high as its text, up to a limit that the style sheet sets. */
function grow(area) {
  if (!area.isConnected || !area.offsetParent) return;
  area.style.height = "auto";
  const border = area.offsetHeight - area.clientHeight;
  area.style.height = `${area.scrollHeight + border}px`;
}

/** A text area that grows with its text. */
function growingArea(properties) {
  const area = h("textarea", { rows: 1, spellcheck: "false", ...properties });
  area.classList.add("mcnb-area");
  area.addEventListener("input", () => grow(area));
  let width = 0;
  new ResizeObserver(() => {
    if (area.clientWidth === width) return; // its own growing
    width = area.clientWidth;
    grow(area);
  }).observe(area);
  return area;
}

/** Put a text on the clipboard, also where the page was not served securely; say on the button that it is done. */
async function copy(text, button) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { style: "position: fixed; opacity: 0" });
    area.value = text;
    button.after(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => (button.textContent = label), 1500);
}

/** Let the reader keep a text as a file. */
function download(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
