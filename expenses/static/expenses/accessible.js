"use strict";

// Names for what the admin's widgets leave without one, for those who hear a page instead of seeing it.
{
  function name() {
    for (const shown of document.querySelectorAll(".select2-selection__rendered[id]:not([aria-labelledby])")) {
      const select = shown.closest(".select2-container").previousElementSibling;
      const label = select && select.labels && select.labels[0];
      if (label) {
        label.id ||= `${select.id}-label`;
        shown.setAttribute("aria-labelledby", label.id);
        shown.closest(".select2-selection").setAttribute("aria-labelledby", `${label.id} ${shown.id}`);
      }
    }
    for (const icon of document.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) {
      icon.setAttribute("role", "img");
    }
  }

  // Other scripts make them, now or later.
  document.addEventListener("DOMContentLoaded", () => {
    name();
    new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  });
}
