// A choice that is looked up has no name for screen readers: it gets that of its label.
"use strict";

window.addEventListener("load", () => {
    for (const box of document.querySelectorAll(".select2-selection")) {
        const select = box.closest(".select2-container").previousElementSibling;
        const label = select && select.id && document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
        if (label) {
            label.id = label.id || `${select.id}-label`;
            box.querySelector(".select2-selection__rendered")?.setAttribute("aria-labelledby", label.id);
            box.setAttribute("aria-labelledby", `${label.id} ${box.getAttribute("aria-labelledby") || ""}`.trim());
        }
    }
});
