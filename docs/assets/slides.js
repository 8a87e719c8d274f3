/* One slide at a time on a wide screen: arrow keys, space and page keys turn them, and so do the
   marks beside the number. The address keeps the slide; a narrow screen and paper show all. */
const all = [...document.querySelectorAll("section")];
let now = 0;
const go = to => {
  all[now].classList.remove("here");
  now = Math.min(all.length - 1, Math.max(0, to));
  all[now].classList.add("here");
  history.replaceState(null, "", `#${now + 1}`);
};
// Words that are higher than their slide are set smaller, while all slides are shown.
for (const words of document.querySelectorAll(".words")) {
  for (let size = 95; words.scrollHeight > words.clientHeight + 1 && size >= 70; size -= 5) {
    words.style.fontSize = `${size}%`;
  }
}
document.documentElement.classList.add("deck");
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: 1, PageDown: 1, " ": event.shiftKey ? -1 : 1, ArrowLeft: -1, PageUp: -1 }[event.key];
  const end = { Home: 0, End: all.length - 1 }[event.key];
  if (step === undefined && end === undefined) return;
  event.preventDefault();
  go(end ?? now + step);
});
addEventListener("click", event => { if (event.target.dataset.step) go(now + Number(event.target.dataset.step)); });
addEventListener("hashchange", () => go(Number(location.hash.slice(1)) - 1 || 0));
go(Number(location.hash.slice(1)) - 1 || 0);
