// Starts the page: draws what the board knows, follows the address, the keyboard and the server.

import { html, nothing, render, visible } from "./template.js";
import { live as liveValue } from "../vendor/lit-html/directives/live.js";
import { SpawnManager } from "../client.js";
import { Board } from "./board.js";
import { dialogs } from "./dialogs.js";
import { jobPane } from "./job-view.js";
import { Live } from "./live.js";
import { figures, operationList, overview } from "./overview-view.js";
import { treePane } from "./tree-view.js";
import { shortId } from "./words.js";

const TOKEN = "hammerwork.token";
const WINDOWS = [
  [1, "1 hour"],
  [24, "24 hours"],
  [168, "7 days"],
  [720, "30 days"],
];
const STATES = {
  connecting: "Connecting …",
  live: "Live",
  polling: "Every 5 s",
  lost: "No connection",
  unreachable: "No database",
};

const client = new SpawnManager(location.origin, { token: sessionStorage.getItem(TOKEN) });
const board = new Board(client, draw);
const live = new Live(client, {
  jobs: (jobs) => board.hear(jobs),
  changed: (what) => board.refresh(what),
  state: (state) => {
    board.live = state;
    draw();
  },
});

// Drawing.

let drawing = 0;

function draw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    render(page(Date.now()), document.getElementById("page"));
    document.querySelector("dialog:not([open])")?.showModal();
    document.title = title();
  });
}

function title() {
  const root = board.tree?.root.job;
  return root ? `${visible(root.queue)} ${shortId(root.id)} · hammerwork` : "hammerwork";
}

function page(now) {
  return html`
    ${header()} ${board.trouble ? trouble(board.trouble) : nothing}
    <main class=${board.selected ? "with-tree" : "without-tree"}>
      <section class="side" aria-label="Operations">
        <div class="filters">
          ${queueFilter()}
          <select aria-label="Time of the figures" @change=${(event) => board.show({ hours: Number(event.target.value) })}>
            ${WINDOWS.map(([hours, name]) => html`<option value=${hours} ?selected=${hours === board.hours}>${name}</option>`)}
          </select>
        </div>
        <div class="scroll">${operationList(board, now)}</div>
      </section>
      <section class="middle" aria-label=${board.selected ? "Tree" : "Overview"}>
        ${figures(board)} ${board.selected ? treePane(board) : overview(board, now)}
      </section>
      ${board.selected ? html`<aside class="side" aria-label="Job">${jobPane(board, now)}</aside>` : nothing}
    </main>
    <div class="notice ${board.notice?.kind ?? ""}" role="status" aria-live="polite">${board.notice?.text ?? ""}</div>
    ${dialogs(board)}
  `;
}

function header() {
  return html`<header>
    <h1>
      <a href="#/"><img src="static/icon.svg" alt="" width="18" height="18" /> hammerwork</a>
    </h1>
    <form role="search" @submit=${search}>
      <input
        id="search"
        type="search"
        aria-label="Search a job by the beginning of its id"
        placeholder="Job id or its beginning"
        autocomplete="off"
        spellcheck="false"
        @input=${() => {
          board.found = null;
          draw();
        }}
      />
      ${board.found ? foundInstead(board.found) : nothing}
    </form>
    <span class="grow"></span>
    <span class="quiet">${board.database}</span>
    ${board.readOnly && board.database ? html`<span class="badge">read-only</span>` : nothing}
    <span class="connection ${board.live}" role="status">${STATES[board.live]}</span>
    <button aria-label="Dark or light" title="Dark or light (t)" @click=${() => toggleTheme()}>◐</button>
    <button aria-label="Keys" title="Keys (?)" @click=${help}>?</button>
  </header>`;
}

function foundInstead({ message, candidates }) {
  return html`<div class="found" role="status">
    <p>${message}</p>
    ${candidates.map((id) => html`<a href="#/jobs/${id}"><code>${id}</code></a>`)}
  </div>`;
}

function trouble(error) {
  return html`<div class="trouble" role="alert">
    <span class="grow">${error.detail}${error.hint ? html` <span class="quiet">${error.hint}</span>` : nothing}</span>
    <button @click=${() => board.refresh({ figures: true })}>Try again</button>
  </div>`;
}

function queueFilter() {
  const names = (board.queues ?? []).map((queue) => queue.queue);
  return html`<select aria-label="Queue" @change=${(event) => board.show({ queue: names[event.target.selectedIndex - 1] ?? "" })}>
    <option .selected=${liveValue(board.queue === "")}>All queues</option>
    ${names.map((name) => html`<option .selected=${liveValue(name === board.queue)}>${name}</option>`)}
  </select>`;
}

// The address.

async function follow() {
  const id = location.hash.match(/^#\/jobs\/([0-9a-f-]{36})$/i)?.[1] ?? null;
  board.found = null;
  document.getElementById("tree")?.scrollTo(0, 0);
  await board.select(id);
  // Then the arrows are for the tree.
  if (board.tree && !document.activeElement.closest("dialog, #tree")) document.getElementById("tree")?.focus();
}

async function search(event) {
  event.preventDefault();
  const input = document.getElementById("search");
  const id = input.value.trim() ? await board.find(input.value.trim()) : null;
  if (id === null) return;
  input.value = "";
  input.blur();
  location.hash = `#/jobs/${id}`;
}

// The keyboard.

function help() {
  board.dialog = { kind: "help" };
  draw();
}

const KEYS = {
  "/": () => document.getElementById("search").focus(),
  "?": help,
  m: () => board.selected && board.copyMermaid(board.selected),
  o: () => (location.hash = "#/"),
  t: () => toggleTheme(),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
}

// Tokens.

board.signIn = async (token) => {
  board.useToken(token);
  await board.start();
  board.refusedToken = board.wantsToken;
  if (board.wantsToken) return draw();
  sessionStorage.setItem(TOKEN, token);
  live.start();
  const { selected } = board;
  board.selected = null;
  return board.select(selected);
};

addEventListener("hashchange", follow);
addEventListener("keydown", onKey);
addEventListener("resize", draw);
document.addEventListener("visibilitychange", () => document.hidden || board.refresh());
// Times are said relative to now.
setInterval(draw, 15000);

draw();
follow();
await board.start();
if (!board.wantsToken) live.start();
