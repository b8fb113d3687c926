// Shows new facts without a reload, while the page can be seen. Without JavaScript, reload the page.
const SECONDS = 30;
const facts = document.querySelector("main[data-refresh]");
setInterval(async () => {
  if (!facts || document.hidden || facts.querySelector("a:focus, summary:focus") || facts.querySelector("details[open]")) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    facts.replaceChildren(...page.querySelector("main").childNodes);
  } catch { /* the platform is stopped; the next look may find it again */ }
}, SECONDS * 1000);
