/* Paperdesk in the browser: the clock and ages tick, fragments poll, dialogs open, toasts tell, keys lead. */
(() => {
  "use strict";

  const WAKE_AFTER_MS = [250, 600, 1000, 1600, 2500, 4000];
  const TOAST_MS = 6000;
  const TOASTS_MAX = 3;
  const SEQUENCE_MS = 1200;

  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  /* The desk's clock ---------------------------------------------------------------------------- */

  const clock = { at: 0, since: 0, speed: 1, zone: "America/New_York" };
  const LATENCY_MS = 2000;

  const deskNow = () => clock.at + (performance.now() - clock.since) * clock.speed;

  /* The server's time is a little old when it arrives: within that, ours goes on and never steps back. */
  function readClock() {
    const element = one("#clock");
    if (!element) return;
    const told = Number(element.dataset.now);
    const speed = Number(element.dataset.speed);
    const shown = clock.at ? deskNow() : told;
    const isLate = shown > told && shown - told < LATENCY_MS * Math.max(1, speed) && speed === clock.speed;
    clock.at = isLate ? shown : told;
    clock.since = performance.now();
    clock.speed = speed;
    clock.zone = element.dataset.zone;
  }

  function duration(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)}\u00a0${unit}`;
    }
    return `${seconds}\u00a0s`;
  }

  function clockWords(at) {
    const parts = {};
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: clock.zone, weekday: "short", month: "short", day: "numeric", hour: "2-digit",
      minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short",
    });
    for (const part of format.formatToParts(at)) parts[part.type] = part.value;
    return `${parts.weekday} ${parts.month} ${parts.day} ${parts.hour}:${parts.minute}:${parts.second} ${parts.timeZoneName}`;
  }

  function tick() {
    if (!clock.at) return;
    const now = deskNow();
    const time = one("#clock time");
    if (time) write(time, clockWords(now));
    for (const element of all("[data-as-of]")) write(element, duration(now - Number(element.dataset.asOf)));
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  /* Live fragments ------------------------------------------------------------------------------ */

  const isLive = (element) => element instanceof Element && element.matches(".live");

  function wake() {
    for (const element of all(".live")) htmx.trigger(element, "desk:wake");
  }

  function wakeSoon() {
    for (const delay of WAKE_AFTER_MS) setTimeout(wake, delay);
  }

  function connection(state, words) {
    const element = one("#connection");
    if (!element) return;
    element.dataset.state = state;
    write(element, words);
  }

  function online() {
    const live = one(".live");
    connection("live", live ? `updates every ${live.dataset.every} s` : "connected");
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && isLive(event.target)) event.preventDefault();
  });

  document.addEventListener("htmx:sendError", () => {
    if (one("#connection")?.dataset.state === "offline") return;
    connection("offline", `offline since ${clockWords(deskNow()).split(" ").slice(3).join(" ")}`);
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr.status) online();
  });

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wake();
  });

  /* What changed is tinted once, and what was unfolded stays unfolded. Only what has an id can be recognised. */
  let numbers = new Map();
  let folds = new Map();

  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (!isLive(target)) return;
    numbers = new Map(all("[data-tint][id]", target).map((cell) => [cell.id, cell.dataset.tint]));
    folds = new Map(all("details[id]", target).map((fold) => [fold.id, fold.open]));
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const changed = all("[data-tint][id]").filter(
      (cell) => numbers.has(cell.id) && numbers.get(cell.id) !== cell.dataset.tint);
    for (const cell of changed) cell.classList.add("changed");
    if (changed.length && event.detail.target.id === "quote") estimateAgain();
    for (const fold of all("details[id]")) if (folds.has(fold.id)) fold.open = folds.get(fold.id);
    numbers = new Map();
    folds = new Map();
    if (event.detail.target.id === "clock") readClock();
    tick();
  });

  /* An estimate follows the quote, but is only spoken when the person changed something. */
  function estimateAgain() {
    one("#estimate").setAttribute("aria-live", "off");
    htmx.trigger("#estimate", "desk:priced");
  }

  document.addEventListener("input", () => one("#estimate")?.setAttribute("aria-live", "polite"));

  /* Dialogs ------------------------------------------------------------------------------------- */

  const dialog = () => one("#dialog");
  let opener = "";

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "dialog-body") return;
    if (!dialog().open) {
      opener = event.detail.requestConfig.elt.id;
      dialog().showModal();
    }
    const first = one("[autofocus]", dialog());
    if (first) first.focus();
  });

  function closeDialog() {
    if (dialog()?.open) dialog().close();
  }

  function afterClosing() {
    one("#dialog-body").replaceChildren();
    const back = opener && document.getElementById(opener);
    if (back) back.focus();
    opener = "";
  }

  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer && dialog()?.open) {
      event.preventDefault();
      closeDialog();
    }
    for (const menu of all("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  /* Toasts -------------------------------------------------------------------------------------- */

  function toast({ message, link, isError }) {
    const element = document.createElement("div");
    element.className = isError ? "toast toast-error" : "toast";
    element.setAttribute("role", isError ? "alert" : "status");
    const text = document.createElement(link ? "a" : "span");
    if (link) text.href = link;
    text.textContent = message;
    const dismiss = document.createElement("button");
    dismiss.type = "button";
    dismiss.textContent = "×";
    dismiss.setAttribute("aria-label", "Dismiss");
    element.append(text, dismiss);
    one("#toasts").append(element);
    watchToast(element, isError);
  }

  function watchToast(element, isError) {
    const toasts = all(".toast");
    for (const old of toasts.slice(0, Math.max(0, toasts.length - TOASTS_MAX))) old.remove();
    one("button", element).addEventListener("click", () => element.remove());
    if (!isError) setTimeout(() => element.remove(), TOAST_MS);
  }

  document.addEventListener("desk:done", (event) => {
    closeDialog();
    toast(event.detail);
    wakeSoon();
  });

  document.addEventListener("htmx:responseError", (event) => {
    const status = event.detail.xhr.status;
    if (status === 401) {
      signedOut();
      return;
    }
    const words = status === 404 ? "This does not exist any more." : "The desk could not answer.";
    toast({ message: `${words} Reload the page to see where things stand (${status}).`, isError: true });
  });

  function signedOut() {
    const box = one("#signed-out");
    if (!box || box.open) return;
    closeDialog();
    box.showModal();
  }

  /* The ticket: only the fields its type uses -------------------------------------------------- */

  function arrange(form) {
    form.dataset.arranged = "1";
    const chosen = new Set([form.elements.order_type.value, form.elements.time_in_force.value]);
    for (const field of all("[data-for]", form)) {
      const used = field.dataset.for.split(" ").some((name) => chosen.has(name));
      field.hidden = !used;
      for (const input of all("input", field)) input.disabled = !used;
    }
  }

  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-ticket]");
    if (form) arrange(form);
  });

  /* One press, one request. The key in the form makes the second one harmless; this makes it visible. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.hasAttribute("hx-post") || !form.hasAttribute("data-once")) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    const button = event.submitter;
    setTimeout(() => {
      if (!button) return;
      button.disabled = true;
      if (button.dataset.busy) button.textContent = button.dataset.busy;
    });
  });

  /* Keys ---------------------------------------------------------------------------------------- */

  const GO = { h: "home", p: "positions", o: "orders" };
  let leader = 0;

  function follow(name) {
    const link = one(`[data-key="${name}"]`);
    if (link) link.click();
  }

  function step(by) {
    const rows = all("tbody tr [data-row]");
    const now = rows.findIndex((row) => row.closest("tr").contains(document.activeElement));
    const next = rows[Math.min(rows.length - 1, Math.max(0, now + by))];
    if (next) next.focus();
  }

  function closeRow() {
    const row = document.activeElement?.closest?.("tr");
    const link = row && one("[data-close-trade]", row);
    if (link) link.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of all("details.menu[open]")) menu.open = false;
    if (event.ctrlKey || event.metaKey || event.altKey || one("dialog[open]")) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    if (performance.now() - leader < SEQUENCE_MS && leader) {
      leader = 0;
      if (GO[event.key]) follow(GO[event.key]);
      return;
    }
    const acts = {
      g: () => { leader = performance.now(); },
      n: () => follow("new"),
      j: () => step(1),
      k: () => step(-1),
      c: closeRow,
      "?": () => one("#keys")?.showModal(),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  });

  /* Start --------------------------------------------------------------------------------------- */

  document.addEventListener("DOMContentLoaded", () => {
    readClock();
    tick();
    setInterval(tick, 500);
    if (one("#connection")) online();
    dialog()?.addEventListener("close", afterClosing);
    for (const form of all("form[data-ticket]")) arrange(form);
    const waiting = all(".toast");
    for (const element of waiting) watchToast(element, false);
    if (waiting.length) wakeSoon();
    one("[data-summary]")?.focus();
  });

  /* Back may bring a page whose button was pressed: it can be pressed again, and finds the same order. */
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of all("button[disabled]", form)) button.disabled = false;
    }
    wake();
  });
})();
