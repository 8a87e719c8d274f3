/* Arrow keys, space and page keys turn the slides; the address keeps the slide. */
const all = [...document.querySelectorAll("section")];
const here = () => all.reduce((a, b) => Math.abs(b.getBoundingClientRect().top) < Math.abs(a.getBoundingClientRect().top) ? b : a);
const go = to => { all[to]?.scrollIntoView(); history.replaceState(null, "", `#${to + 1}`); };
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": event.shiftKey ? -1 : 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
  const end = { Home: 0, End: all.length - 1 }[event.key];
  if (step === undefined && end === undefined) return;
  event.preventDefault();
  go(Math.min(all.length - 1, Math.max(0, end ?? all.indexOf(here()) + step)));
});
if (/^#\d+$/.test(location.hash)) go(Number(location.hash.slice(1)) - 1);
