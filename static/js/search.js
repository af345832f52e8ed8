// The search box: "/" (see app.js) and Ctrl+K or ⌘K focus it, and suggestions are shown below it.
// Without scripts the form works alike: the server leads an id straight to what it names.

const PAUSE_MS = 150;
const box = document.querySelector("[data-suggestions]");
const list = document.createElement("ul");
let chosen = -1;
let timer;
let asked = 0;

function close() {
  list.hidden = true;
  choose(-1);
  box.setAttribute("aria-expanded", "false");
}

function choose(index) {
  chosen = index;
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at === index));
  const id = list.children[index]?.id;
  if (id) box.setAttribute("aria-activedescendant", id);
  else box.removeAttribute("aria-activedescendant");
}

function drawn(suggestion, index) {
  const item = document.createElement("li");
  item.id = `suggestion-${index}`;
  item.setAttribute("role", "option");
  item.dataset.url = suggestion.url;
  for (const [name, text] of [["quiet", suggestion.kind], ["label", suggestion.label]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text;
    item.append(part, " ");
  }
  return item;
}

async function suggest() {
  const number = ++asked;
  const query = box.value.trim();
  if (!query) return close();
  try {
    const answer = await fetch(`${box.dataset.suggestions}?${new URLSearchParams({ query })}`);
    if (!answer.ok || number !== asked) return;
    const { suggestions } = await answer.json();
    if (number !== asked) return;
    list.replaceChildren(...suggestions.map(drawn));
    choose(-1);
    list.hidden = !suggestions.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
  } catch {
    close(); // The network or the store is away; the form still works.
  }
}

function step(event) {
  const last = list.children.length - 1;
  if (event.key === "Escape" && !list.hidden) close();
  else if (list.hidden) return;
  else if (event.key === "ArrowDown") choose(chosen < last ? chosen + 1 : 0);
  else if (event.key === "ArrowUp") choose(chosen > 0 ? chosen - 1 : last);
  else if (event.key === "Enter" && chosen >= 0) location.assign(list.children[chosen].dataset.url);
  else return;
  event.preventDefault();
}

if (box) {
  list.className = "suggestions";
  list.id = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  box.after(list);
  box.setAttribute("role", "combobox");
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", "suggestions");
  box.setAttribute("aria-expanded", "false");
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(suggest, PAUSE_MS);
  });
  box.addEventListener("keydown", step);
  box.addEventListener("blur", close);
  // Before the box loses the focus, which would close the list.
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (item) location.assign(item.dataset.url);
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    box.focus();
    box.select();
    event.preventDefault();
  });
}

// A menu closes when one goes on elsewhere.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.pick-menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
