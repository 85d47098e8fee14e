// Two conveniences; every page is complete without them.

// Copy buttons: <button class="copy" data-copy="text" hidden>Label</button>, or data-copy-from="id of an element".
// They are hidden in the HTML and shown here, so that nobody meets a button that does nothing.
for (const button of document.querySelectorAll("button[data-copy], button[data-copy-from]")) {
  if (!navigator.clipboard) break;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const from = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
    await navigator.clipboard.writeText(from ? from.textContent : button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

// A box that scrolls sideways can be reached with the Tab key and has a name, but only while it does scroll.
const boxes = document.querySelectorAll(".scrolls, .table-wrapper, div.highlight pre");
const observer = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));

function mark(box) {
  if (box.scrollWidth > box.clientWidth + 1) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `${nameOf(box)}, scrolls sideways`);
  } else {
    for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
  }
}

function nameOf(box) {
  if (box.matches("pre")) return "Code";
  return box.dataset.label || box.querySelector("caption")?.textContent.trim() || "Table";
}

boxes.forEach((box) => observer.observe(box));
