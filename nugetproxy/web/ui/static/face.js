// Sweetens pages that work without it: suggestions while typing, buttons that copy. It writes text only, never markup.
"use strict";

function copyButtons() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    if (!source) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const label = button.textContent;
      button.textContent = (await copy(source)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = label; }, 1600);
    });
  }
}

async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    // Without https there is no clipboard: select the text, so that a key copies it.
    getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }
}

function suggestions(input) {
  const list = document.createElement("ul");
  const said = document.createElement("p");
  let shown = [], chosen = -1, asked = 0, timer = 0;
  list.id = "suggestions";
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  said.className = "hidden";
  said.setAttribute("role", "status");
  input.after(list, said);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]])
    input.setAttribute(name, value);

  function show(ids) {
    shown = ids;
    chosen = -1;
    list.replaceChildren(...ids.map((id, at) => {
      const item = document.createElement("li");
      item.id = `suggestion-${at}`;
      item.textContent = id;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      item.addEventListener("mousedown", (event) => { event.preventDefault(); open(id); });
      return item;
    }));
    list.hidden = ids.length === 0;
    input.setAttribute("aria-expanded", String(ids.length > 0));
    input.removeAttribute("aria-activedescendant");
    said.textContent = ids.length ? `${ids.length} suggestions` : "";
  }

  function choose(at) {
    list.children[chosen]?.setAttribute("aria-selected", "false");
    chosen = at;
    const item = list.children[at];
    item?.setAttribute("aria-selected", "true");
    if (item) input.setAttribute("aria-activedescendant", item.id);
    else input.removeAttribute("aria-activedescendant");
  }

  function open(id) {
    location.assign(input.dataset.open + encodeURIComponent(id));
  }

  async function ask(text) {
    const turn = ++asked;
    const parameters = new URLSearchParams({ q: text, take: "8", prerelease: "true", semVerLevel: "2.0.0" });
    try {
      const answer = await fetch(`${input.dataset.suggest}?${parameters}`);
      const found = answer.ok ? await answer.json() : { data: [] };
      if (turn === asked && document.activeElement === input) show(found.data.slice(0, 8));
    } catch {
      if (turn === asked) show([]);
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    const text = input.value.trim();
    if (text.length < 2 || text.includes(":")) { asked++; show([]); return; }
    timer = setTimeout(() => ask(text), 140);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) { event.preventDefault(); show([]); }
    else if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); open(shown[chosen]); }
    else if (shown.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      const last = shown.length;
      choose(((chosen + 1 + step + last + 1) % (last + 1)) - 1);
    }
  });
  input.addEventListener("blur", () => { clearTimeout(timer); asked++; show([]); });
}

// An icon that the package promises and does not have.
function missingIcons() {
  for (const image of document.querySelectorAll(".icon img")) {
    const hide = () => { image.style.visibility = "hidden"; };
    if (image.complete && image.naturalWidth === 0) hide();
    else image.addEventListener("error", hide);
  }
}

copyButtons();
missingIcons();
for (const input of document.querySelectorAll("input[data-suggest]")) suggestions(input);
