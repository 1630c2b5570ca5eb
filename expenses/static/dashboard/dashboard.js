// Nothing needs this script: it makes the bars of charts lead to their expenses, as the numbers in the tables do, sends
// the filters as soon as a choice was made, and takes what need not be scrolled out of the order of the Tab key.
"use strict";

for (const bar of document.querySelectorAll("[data-href]")) {
  bar.classList.add("t-clickable");
  bar.addEventListener("click", () => {
    window.location.assign(bar.dataset.href);
  });
}

for (const choice of document.querySelectorAll("#filters select")) {
  // By the keyboard a choice changes with each arrow: only a pointer's is taken for made.
  let pointed = false;
  choice.addEventListener("pointerdown", () => {
    pointed = true;
  });
  choice.addEventListener("keydown", () => {
    pointed = false;
  });
  choice.addEventListener("change", () => {
    if (pointed) choice.form.requestSubmit();
  });
}

for (const form of document.querySelectorAll(".t-filters")) {
  // Addresses are shorter without what was left empty.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData.entries()]) {
      if (value === "") event.formData.delete(name);
    }
  });
}

function tabStops() {
  for (const region of document.querySelectorAll(".t-scroll")) {
    region.tabIndex = region.scrollWidth > region.clientWidth ? 0 : -1;
  }
}

tabStops();
window.addEventListener("resize", tabStops);
