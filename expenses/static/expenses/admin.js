// A choice that is looked up has no name for screen readers: it gets that of its label.
"use strict";

window.addEventListener("DOMContentLoaded", () => {
    const nameBox = (box) => {
        const select = box.closest(".select2-container").previousElementSibling;
        const label = select && select.id && document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
        const shown = box.querySelector(".select2-selection__rendered");
        if (label && shown) {
            label.id = label.id || `${select.id}-label`;
            shown.setAttribute("aria-labelledby", label.id);
            box.setAttribute("aria-labelledby", `${label.id} ${shown.id}`);
        }
    };
    const nameAll = () => document.querySelectorAll(".select2-selection").forEach(nameBox);
    new MutationObserver(nameAll).observe(document.body, {childList: true, subtree: true});
    nameAll();
});
