/* One slide at a time on a wide screen: arrow keys, space and page keys turn them, and so do the
   marks beside the number. What does not fit at 16:9 is set smaller, and what would become too
   small for that is scrolled by the arrows up and down. The address keeps the slide; a narrow
   screen and paper show all. */
const all = [...document.querySelectorAll("section")];
const smallest = 70; // per cent
let now = 0;
const overflows = part => part.scrollHeight > part.clientHeight + 1;
const fit = section => {
  section.style.height = "56.25vw"; // that of a projector, so that a slide is the same everywhere
  for (const part of section.querySelectorAll(".words, .code")) {
    for (let size = 100; overflows(part) && size > smallest; part.style.fontSize = `${size}%`) size -= 5;
    if (overflows(part)) section.classList.add("long");
  }
  section.style.height = "";
};
const go = to => {
  all[now].classList.remove("here");
  now = Math.min(all.length - 1, Math.max(0, to));
  all[now].classList.add("here");
  history.replaceState(null, "", `#${now + 1}`);
};
const deck = document.documentElement.classList;
deck.add("deck");
addEventListener("load", () => { // pictures have their sizes now
  if (!matchMedia("(min-width: 50.01em)").matches) return;
  deck.remove("deck"); // what is not shown has no size
  all.forEach(fit);
  deck.add("deck");
});
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const lines = { ArrowDown: 3, ArrowUp: -3 }[event.key];
  if (lines) {
    event.preventDefault();
    for (const part of all[now].querySelectorAll(".words, .code")) part.scrollBy(0, lines * 24);
    return;
  }
  const step = { ArrowRight: 1, PageDown: 1, " ": event.shiftKey ? -1 : 1, ArrowLeft: -1, PageUp: -1 }[event.key];
  const end = { Home: 0, End: all.length - 1 }[event.key];
  if (step === undefined && end === undefined) return;
  event.preventDefault();
  go(end ?? now + step);
});
addEventListener("click", event => { if (event.target.dataset.step) go(now + Number(event.target.dataset.step)); });
addEventListener("hashchange", () => go(Number(location.hash.slice(1)) - 1 || 0));
go(Number(location.hash.slice(1)) - 1 || 0);
