// Shows new facts without a reload while the page is visible. Without JavaScript, reload the page.
const SECONDS = 10;
const facts = document.querySelector("main[data-refresh]");
const name = (list) => [list.closest("section")?.id, list.closest("tr")?.querySelector("a, code")?.textContent, list.querySelector("summary").textContent].join();
const look = async () => {
  if (!facts || document.hidden || facts.querySelector(":focus-visible") || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const open = new Set([...facts.querySelectorAll("details[open]")].map(name));
    for (const part of ["main", "footer"]) document.querySelector(part).replaceChildren(...page.querySelector(part).childNodes);
    for (const list of facts.querySelectorAll("details")) list.open = open.has(name(list));
  } catch { // the platform does not answer; the next look tries again
    document.querySelector("h1").textContent = "The platform does not answer. This page is out of date.";
  }
};
setInterval(look, SECONDS * 1000);
document.addEventListener("visibilitychange", look);
