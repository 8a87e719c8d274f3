// A copy button of a terminal's block copies its commands, without prompts and outputs.
// Blocks are marked when they are pointed at or focused: the theme adds the buttons late.
function commandsOnly(event) {
  const button = event.target.closest?.("button[data-clipboard-target]");
  const code = button?.closest("pre, .highlight")?.querySelector("code");
  if (!code?.querySelector(".gp")) return;
  const clone = code.cloneNode(true);
  clone.querySelectorAll(".gp, .go").forEach((each) => each.remove());
  const lines = clone.textContent.split("\n").filter((line) => line.trim());
  button.setAttribute("data-clipboard-text", lines.join("\n"));
}
for (const kind of ["pointerover", "focusin"]) document.addEventListener(kind, commandsOnly);
