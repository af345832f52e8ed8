// Completions of the query line: keys, then values. Without scripts the line and its menu work alike.
//   data-completions   the address that answers with the completions of a word
// Arrows choose, Enter or Tab takes what is chosen, Escape closes. Enter without a choice searches.

const PAUSE_MS = 120;

function wordAt(text, caret) {
  let start = 0;
  let quoted = false;
  for (let at = 0; at < caret; at += 1) {
    if (quoted && text[at] === "\\") at += 1;
    else if (text[at] === '"') quoted = !quoted;
    else if (!quoted && /\s/.test(text[at])) start = at + 1;
  }
  const rest = quoted ? 0 : text.slice(caret).search(/\s|$/);
  return { start, end: caret + rest, word: text.slice(start, caret) };
}

function completed(box) {
  const list = document.createElement("ul");
  let chosen = -1;
  let timer;
  let asked = 0;

  function choose(index) {
    chosen = index;
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === index));
    const item = list.children[index];
    if (item) {
      box.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else box.removeAttribute("aria-activedescendant");
  }

  function close() {
    asked += 1; // An answer that is on its way does not open the list again.
    clearTimeout(timer);
    list.hidden = true;
    choose(-1);
    box.setAttribute("aria-expanded", "false");
  }

  function drawn(completion, index) {
    const item = document.createElement("li");
    item.id = `completion-${index}`;
    item.setAttribute("role", "option");
    item.dataset.text = completion.text;
    for (const [name, text] of [["label", completion.text], ["quiet", completion.note]]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      item.append(part, " ");
    }
    return item;
  }

  async function ask(isEmptyToo) {
    const number = (asked += 1);
    const { word } = wordAt(box.value, box.selectionStart);
    if (!word && !isEmptyToo) return close();
    const project = new FormData(box.form).get("project") ?? "";
    try {
      const query = new URLSearchParams({ word, list: box.dataset.list, project });
      const answer = await fetch(`${box.dataset.completions}?${query}`);
      if (!answer.ok || number !== asked) return;
      const { completions } = await answer.json();
      if (number !== asked || document.activeElement !== box) return;
      list.replaceChildren(...completions.map(drawn));
      choose(-1);
      list.hidden = !completions.length;
      box.setAttribute("aria-expanded", String(!list.hidden));
    } catch {
      close(); // The network or the store is away; the line still works.
    }
  }

  function take(item) {
    const { start, end } = wordAt(box.value, box.selectionStart);
    const isKey = item.dataset.text.endsWith(":");
    const rest = box.value.slice(end);
    const text = item.dataset.text + (isKey || rest.startsWith(" ") ? "" : " ");
    box.value = box.value.slice(0, start) + text + rest;
    const caret = start + text.length;
    box.setSelectionRange(caret, caret);
    close();
    if (isKey) ask();
  }

  function step(event) {
    const last = list.children.length - 1;
    if (list.hidden) {
      if (event.key !== "ArrowDown") return;
      ask(true);
    } else if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") choose(chosen < last ? chosen + 1 : 0);
    else if (event.key === "ArrowUp") choose(chosen > 0 ? chosen - 1 : last);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) take(list.children[chosen]);
    else return;
    event.preventDefault();
  }

  list.className = "suggestions completions";
  list.id = "completions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  box.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"]]) {
    box.setAttribute(name, value);
  }
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE_MS);
  });
  box.addEventListener("keydown", step);
  box.addEventListener("blur", close);
  // Before the box loses the focus, which would close the list.
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (item) take(item);
    event.preventDefault();
  });
}

document.querySelectorAll("[data-completions]").forEach(completed);
