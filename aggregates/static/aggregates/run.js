// Works a run off, step by step, while its page is open. Without it, the button "Go on" does the same.
"use strict";

(() => {
    const PAUSE = 2000;
    const TRIES = 30;
    const form = document.getElementById("run-step");
    if (!form) {
        return;
    }
    const button = document.getElementById("go-on");
    const bar = document.getElementById("run-progress");
    const state = document.getElementById("run-state");
    const said = document.getElementById("run-said");
    let tries = 0;

    const show = (run) => {
        bar.max = run.chunks;
        bar.value = run.chunks_done;
        state.textContent = `Under way: ${run.chunks_done} of ${run.chunks} chunks done.`;
        for (const name of ["buckets", "drifted", "corrected"]) {
            document.getElementById(`run-${name}`).textContent = run[name];
        }
        said.textContent = run.error;
    };

    const giveUp = (reason) => {
        said.textContent = `${reason} Press “Go on” to try again.`;
        button.hidden = false;
    };

    const again = (reason) => {
        tries += 1;
        if (tries < TRIES) {
            setTimeout(step, PAUSE);
        } else {
            giveUp(reason);
        }
    };

    const step = async () => {
        let answer;
        try {
            answer = await fetch(form.action, {
                method: "POST",
                body: new FormData(form),
                headers: {Accept: "application/json"},
                credentials: "same-origin",
            });
        } catch {
            again("The server does not answer.");
            return;
        }
        const kind = answer.headers.get("Content-Type") || "";
        if (!kind.startsWith("application/json")) {
            if (answer.status === 503) {
                again("The database is busy.");
            } else if (answer.redirected) {
                giveUp("You were logged out.");
            } else {
                giveUp(`The server answered ${answer.status}.`);
            }
            return;
        }
        const run = await answer.json();
        if (!run.running) {
            location.reload();
            return;
        }
        show(run);
        if (answer.ok) {
            tries = 0;
            setTimeout(step, 0);
        } else {
            again(run.detail);
        }
    };

    button.hidden = true;
    step();
})();
