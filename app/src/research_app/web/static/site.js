// Nothing here is needed: every page works without it.
"use strict";

// "/" goes to the search box, as in many catalogues
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.getElementById("q");
  if (box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// browsers that cannot show closed details on wide screens (site.css) get them open
const wide = window.matchMedia("(min-width: 56rem)");
const arrange = () => {
  for (const details of document.querySelectorAll("details.filters")) {
    if (wide.matches && !CSS.supports("selector(::details-content)")) details.open = true;
  }
};
wide.addEventListener("change", arrange);
arrange();
