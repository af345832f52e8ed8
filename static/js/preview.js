// Shows what a channel would send while its template is typed. Without scripts its button does it.

const PAUSE_MS = 300;
const form = document.querySelector("form[data-preview]");
let timer;
let asked = 0;

async function show() {
  const mine = ++asked;
  const data = new FormData(form);
  // A preview needs neither, so they stay in the browser.
  data.delete("address");
  data.delete("secret");
  data.set("preview", "yes");
  const options = { method: "POST", body: data, headers: { "X-Fragment": "1" } };
  try {
    const answer = await fetch(form.action, options);
    if (!answer.ok || mine !== asked) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("preview");
    const old = document.getElementById("preview");
    const isOpen = old.querySelector("details")?.open;
    if (isOpen && fresh.querySelector("details")) fresh.querySelector("details").open = true;
    old.replaceWith(fresh);
  } catch {
    // The network is away; the next change asks again.
  }
}

form?.addEventListener("input", (event) => {
  if (!event.target.matches("[name=template], [name=kind]")) return;
  clearTimeout(timer);
  timer = setTimeout(show, PAUSE_MS);
});
