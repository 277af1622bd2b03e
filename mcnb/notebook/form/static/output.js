// The text of a run: grows without flicker, follows its end unless the reader has scrolled up.

const BLOCK = 4000; // characters; the browser lays out the last block only, however long the text is

/** Make the view of a growing text. */
function makeText(label) {
  const element = h("div", { class: "mcnb-text", tabindex: 0, role: "region", "aria-label": label });
  const end = h("button", { type: "button", class: "mcnb-end", hidden: true, onclick: toEnd }, "Go to the end");
  let last = null;
  let waiting = "";
  let follows = true;
  let shown = "";
  let top = 0;

  element.addEventListener("scroll", () => {
    if (element.scrollTop + element.clientHeight >= element.scrollHeight - 8) {
      follows = true;
      end.hidden = true;
    } else if (element.scrollTop < top) {
      follows = false; // the reader went up; that the text below has grown meanwhile says nothing
    }
    top = element.scrollTop;
  });

  function goToEnd() {
    element.scrollTop = element.scrollHeight;
    top = element.scrollTop;
  }

  function toEnd() {
    follows = true;
    end.hidden = true;
    goToEnd();
    element.focus();
  }

  function paint() {
    const text = waiting;
    waiting = "";
    for (const piece of blocks(text)) add(piece);
    if (follows) goToEnd();
    else end.hidden = false;
  }

  function add(text) {
    if (last === null || last.length >= BLOCK) {
      // a new block begins a new line: the old one has to end with one
      const cut = last === null ? -1 : text.indexOf("\n");
      if (last === null || cut >= 0) {
        if (cut >= 0) last.appendData(text.slice(0, cut));
        const rest = text.slice(cut + 1);
        settle(element.lastElementChild);
        last = document.createTextNode(rest);
        element.append(h("div", {}, last));
        return;
      }
    }
    last.appendData(text);
  }

  /** A finished block keeps its height while it is out of sight: nothing jumps when it is not laid out. */
  function settle(block) {
    if (block) block.style.containIntrinsicSize = `auto ${block.offsetHeight}px`;
  }

  return {
    element,
    end,
    text: () => shown,
    append(text) {
      if (!text) return;
      shown += text;
      if (!waiting) requestAnimationFrame(paint);
      waiting += text;
    },
    replace(text) {
      if (text === shown) return;
      if (waiting) paint();
      if (text.startsWith(shown) && shown) {
        this.append(text.slice(shown.length));
        return;
      }
      element.replaceChildren();
      last = null;
      follows = true;
      end.hidden = true;
      shown = "";
      this.append(text);
    },
    /** Show now what would be shown with the next frame: a run that says it is finished has all of its text there. */
    flush() {
      if (waiting) paint();
    },
  };
}

function* blocks(text) {
  for (let from = 0; from < text.length; from += BLOCK) yield text.slice(from, from + BLOCK);
}

/** Make the output of the shown run: its line, its progress, its text, and what can be done with it. */
function makeOutput(ask) {
  const line = h("p", { class: "mcnb-line" });
  const bar = h("div", { class: "mcnb-bar", role: "progressbar", "aria-label": "Progress" }, h("div", {}));
  const view = makeText("Output");
  const buttons = {
    copy: h("button", { type: "button", class: "mcnb-quiet", onclick: (e) => copy(view.text(), e.currentTarget) }, "Copy"),
    download: h("button", { type: "button", class: "mcnb-quiet", onclick: () => download(view.text(), "output.txt") }, "Download"),
    code: h("button", { type: "button", class: "mcnb-quiet", "aria-expanded": "false", onclick: () => code.toggle() }, "Copy as code"),
    repeat: h("button", { type: "button", class: "mcnb-quiet", onclick: () => ask("repeat") }, "Repeat exactly"),
  };
  const tools = h("div", { class: "mcnb-row mcnb-tools" }, ...Object.values(buttons));
  const code = makeCode(buttons.code, () => ask("code"));
  const element = h("section", { class: "mcnb-output", "aria-label": "Result", hidden: true },
    bar, view.element, view.end, line, tools, code.element);

  return {
    element,
    view,
    code,
    show(standing) {
      element.hidden = !standing.run;
      if (!standing.run) return;
      if (element.dataset.run !== standing.run) code.close();
      element.dataset.run = standing.run;
      element.dataset.state = standing.state;
      line.textContent = lineOf(standing);
      progress(standing.done ? null : standing.fraction, standing.done);
      tools.hidden = !standing.done;
      buttons.copy.hidden = buttons.download.hidden = standing.state === "failed";
    },
    news(line_, fraction) {
      line.textContent = line_;
      progress(fraction, false);
    },
  };

  function progress(fraction, done) {
    bar.hidden = done;
    const known = typeof fraction === "number";
    bar.classList.toggle("mcnb-unknown", !known);
    bar.firstChild.style.width = known ? `${Math.min(100, 100 * fraction)}%` : "";
    if (known) bar.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
    else bar.removeAttribute("aria-valuenow");
  }
}

function lineOf(standing) {
  if (standing.state === "failed") return `Failed: ${standing.line}`;
  if (standing.state === "cancelled") return `Stopped. ${standing.line}`;
  return standing.line;
}

/** Make the panel that shows a run as code. */
function makeCode(button, ask) {
  const kinds = { magic: "Magic", python: "Python", curl: "curl", command: "Command" };
  const choice = h("select", { "aria-label": "Kind of code" });
  for (const [kind, label] of Object.entries(kinds)) choice.append(h("option", { value: kind }, label));
  const text = h("pre", { tabindex: 0, role: "region", "aria-label": "Code" });
  const take = h("button", { type: "button", class: "mcnb-quiet", onclick: (e) => copy(text.textContent, e.currentTarget) }, "Copy");
  const element = h("div", { class: "mcnb-codes", hidden: true }, h("div", { class: "mcnb-row" }, choice, take), text);
  let code = {};
  choice.addEventListener("change", tell);

  function tell() {
    text.textContent = code[choice.value] ?? "";
  }

  return {
    element,
    toggle() {
      if (element.hidden) ask();
      else this.close();
    },
    show(found) {
      code = found;
      tell();
      element.hidden = false;
      button.setAttribute("aria-expanded", "true");
    },
    close() {
      element.hidden = true;
      button.setAttribute("aria-expanded", "false");
    },
  };
}
