// Starts the page: draws the state, and follows the address, the keyboard and the server.

import { SpawnManager } from "../client.js";
import { addressOf, jobIn, OVERVIEW } from "./address.js";
import { Live } from "./live.js";
import { Board } from "./state/board.js";
import { render } from "./template.js";
import { page, titleOf } from "./views/page.js";
import { showNextFailure } from "./views/tree.js";

const TOKEN = "hammerwork.token";
/** Ages on the page are relative to now. */
const REDRAW_MS = 5000;
/** A worker that is killed causes no event. */
const WATCH_MS = 4000;

/** An answer that takes longer keeps one of six connections. */
const TIMEOUT_MS = 60000;

const client = new SpawnManager(location.origin, { token: sessionStorage.getItem(TOKEN), timeout: TIMEOUT_MS });
const board = new Board(client, draw, (token) => {
  sessionStorage.setItem(TOKEN, token);
  live.start();
});
const live = new Live(client, {
  event: (event) => {
    if (event.type === "jobs") board.selection.learn(event.data.jobs);
  },
  changed: (news) => board.refresh(news),
  state: (state) => board.session.setLive(state),
});

// Drawing.

let drawing = 0;
/** What is pressed stays where it is until it is released: a click on what has moved away would be lost. */
let pressed = false;

function draw() {
  if (pressed) return;
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    render(page(board, { search, help }, Date.now()), /** @type {HTMLElement} */ (document.getElementById("page")));
    /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog:not([open])"))?.showModal();
    document.title = titleOf(board);
  });
}

/** @param {boolean} down */
function press(down) {
  pressed = down;
  if (down) cancelAnimationFrame(drawing);
  drawing = 0;
  // After the click that follows the release.
  if (!down) setTimeout(draw);
}

// The address.

async function follow() {
  const id = jobIn(location.hash);
  board.search.clear();
  document.getElementById("tree")?.scrollTo(0, 0);
  const from = document.activeElement;
  await board.selection.select(id);
  // The arrow keys move in the tree from here on, unless the reader has begun to type elsewhere meanwhile.
  const isAway = ![from, document.body].includes(document.activeElement) || from?.closest("dialog");
  if (board.selection.tree && !isAway) document.getElementById("tree")?.focus();
}

const searchBox = () => /** @type {HTMLInputElement} */ (document.getElementById("search"));

/** @param {Event} event */
async function search(event) {
  event.preventDefault();
  const input = searchBox();
  const id = input.value.trim() ? await board.search.find(input.value.trim()) : null;
  if (id === null) return;
  input.value = "";
  input.blur();
  location.hash = addressOf(id);
}

// The keyboard.

const help = () => board.dialogs.show({ kind: "help" });

/** @type {Record<string, (() => void) | undefined>} */
const KEYS = {
  "/": () => searchBox().focus(),
  "?": help,
  m: () => {
    if (board.selection.id) board.changes.copyMermaid(board.selection.id);
  },
  n: () => showNextFailure(board),
  o: () => {
    location.hash = OVERVIEW;
  },
  t: () => toggleTheme(),
};

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.matches("input, textarea, select")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

addEventListener("hashchange", follow);
addEventListener("keydown", onKey);
addEventListener("pointerdown", () => press(true));
for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, () => press(false));
addEventListener("resize", draw);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) live.stop();
  else if (!board.session.wantsToken) {
    live.start();
    board.refresh();
  }
});
setInterval(draw, REDRAW_MS);
setInterval(() => {
  if (document.hidden || board.session.wantsToken) return;
  board.overview.watch();
  board.countTrees();
}, WATCH_MS);

draw();
follow();
await board.start();
if (!board.session.wantsToken && !document.hidden) live.start();
