// What the pages gain with scripts; without them everything works by reloading.
//   data-poll, data-poll-url   replace this region now and then, never while the page is hidden, or
//                              while something in it is unfolded; slower while nothing changes
//   data-copy, data-copy-url   copy an element's text, or what an address answers
//   data-item                  j and k walk over these
//   data-key                   this key clicks (or focuses) the element
//   data-row-key               this key clicks the element for the chosen rows, or the focused one
//   data-fold                  unfolds or folds every call of a stack
//   data-pick                  chooses every row of the form with this id
//   data-morning               sends tomorrow's morning of the browser's time zone, which data-zone names

const SLOWEST_S = 30;

// ---- polling ------------------------------------------------------------------------------------

async function fragment(url) {
  const answer = await fetch(url, { headers: { "X-Fragment": "1" } });
  if (answer.status === 401) return null; // The session ended; a reload asks for the password.
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.body.firstElementChild;
}

function changed(before, after) {
  return before.textContent.replace(/\s+/g, " ") !== after.textContent.replace(/\s+/g, " ");
}

function follow(region, seconds = Number(region.dataset.poll)) {
  setTimeout(async () => {
    if (!region.isConnected) return;
    let next = region;
    if (!document.hidden && !region.querySelector("details[open]")) {
      try {
        const fresh = await fragment(region.dataset.pollUrl);
        if (fresh === null) return;
        // Only what is new moves into the page, so that a screen reader speaks only then.
        if (changed(region, fresh) || !fresh.dataset.poll) {
          region.replaceWith(fresh);
          next = fresh;
          seconds = Number(fresh.dataset.poll) / 1.3;
        }
      } catch {
        // The network or the store is away; the next round may find it again.
      }
    }
    if (next.dataset.poll) follow(next, Math.min(seconds * 1.3, SLOWEST_S));
  }, seconds * 1000);
}

document.querySelectorAll("[data-poll]").forEach((region) => follow(region));

// ---- copying ------------------------------------------------------------------------------------

async function copy(button) {
  const label = button.textContent;
  try {
    const text = button.dataset.copyUrl
      ? await (await fetch(button.dataset.copyUrl)).text()
      : document.querySelector(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "not copied";
  }
  setTimeout(() => (button.textContent = label), 2000);
}

// Browsers have a clipboard only over https and on this machine.
if (navigator.clipboard) {
  document.querySelectorAll("[data-copy], [data-copy-url]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  });
}

// ---- folding ------------------------------------------------------------------------------------

function foldAll() {
  const all = [...document.querySelectorAll(".frame, .others")];
  const open = all.some((part) => !part.open);
  all.forEach((part) => (part.open = open));
  document.querySelectorAll("[data-fold]").forEach((button) => {
    button.textContent = open ? "fold all" : "unfold all";
  });
}

document.querySelectorAll("[data-fold]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", foldAll);
});

// ---- choosing rows ------------------------------------------------------------------------------

document.querySelectorAll("[data-pick]").forEach((all) => {
  all.hidden = false;
  all.addEventListener("change", () => {
    const boxes = document.querySelectorAll(`input[name=ids][form="${CSS.escape(all.dataset.pick)}"]`);
    boxes.forEach((box) => (box.checked = all.checked));
  });
});

// ---- the morning of the browser ----------------------------------------------------------------

const two = (number) => String(Math.trunc(number)).padStart(2, "0");

function tomorrowMorning() {
  const at = new Date();
  at.setDate(at.getDate() + 1);
  at.setHours(9, 0, 0, 0);
  const east = -at.getTimezoneOffset();
  const offset = `${east < 0 ? "-" : "+"}${two(Math.abs(east) / 60)}:${two(Math.abs(east) % 60)}`;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T09:00:00${offset}`;
}

document.querySelectorAll("[data-morning]").forEach((button) => {
  button.querySelector("[data-zone]").textContent =
    Intl.DateTimeFormat().resolvedOptions().timeZone.replaceAll("_", " ");
  // On the click, since a page may stay open over midnight.
  button.addEventListener("click", () => (button.form.elements.morning.value = tomorrowMorning()));
});

// ---- deciding from a list -----------------------------------------------------------------------

const rowsWithBoxes = () => [...document.querySelectorAll("[data-item]")].filter(boxOf);
const focusedRow = () => rowsWithBoxes().find((item) => item === document.activeElement);

function boxOf(item) {
  return item.closest("tr")?.querySelector("input[name=ids]");
}

function pick() {
  const row = focusedRow();
  if (row) boxOf(row).checked = !boxOf(row).checked;
}

// Chooses the focused row unless rows are chosen, and lets the answer focus the row after them.
function decide(key) {
  const button = document.querySelector(`[data-row-key="${CSS.escape(key)}"]`);
  const rows = rowsWithBoxes();
  if (!button || !rows.length) return false;
  const focused = focusedRow();
  if (focused && !rows.some((row) => boxOf(row).checked)) boxOf(focused).checked = true;
  const last = rows.findLastIndex((row) => boxOf(row).checked);
  if (last < 0) return false;
  const rest = [...rows.slice(last + 1), ...rows.slice(0, last).reverse()];
  const next = rest.find((row) => !boxOf(row).checked);
  button.closest("form").elements.then.value = next ? boxOf(next).value : "";
  button.click();
  button.closest("details")?.querySelector(".choices button")?.focus();
  return true;
}

if (location.hash.startsWith("#issue-")) document.getElementById(location.hash.slice(1))?.focus();

// ---- keys ---------------------------------------------------------------------------------------

function walk(step) {
  const items = [...document.querySelectorAll("[data-item]")].filter((item) => item.offsetParent);
  if (!items.length) return;
  const at = items.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : at + step;
  items[Math.max(0, Math.min(next, items.length - 1))].focus();
}

function press(key) {
  const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!found) return false;
  // What stands in a closed menu cannot be seen: the menus around it are opened first.
  for (let around = found.parentElement; around; around = around.parentElement) {
    if (around.matches("details") && !(around.open || found.parentElement === around)) around.open = true;
  }
  if (found.matches("input, select")) found.focus();
  else found.click();
  return true;
}

const help = document.getElementById("help");
const keysOn = document.getElementById("keys-on");
if (keysOn) {
  keysOn.checked = localStorage.getItem("keys") !== "off";
  keysOn.addEventListener("change", () => {
    localStorage.setItem("keys", keysOn.checked ? "on" : "off");
  });
}
document.querySelectorAll("[data-help]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
});

const KEYS = {
  j: () => walk(1),
  k: () => walk(-1),
  x: pick,
  f: foldAll,
  "?": () => help.showModal(),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]");
  if (!help || typing || !keysOn.checked) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (KEYS[event.key]) KEYS[event.key]();
  else if (!decide(event.key) && !press(event.key)) return;
  event.preventDefault();
});
