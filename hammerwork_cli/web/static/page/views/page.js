// The frame of the page: header, panes, toast and dialogs.

import { addressOf, OVERVIEW } from "../address.js";
import { stateOf } from "../live.js";
import { html, live, nothing } from "../template.js";
import { visible } from "../visible.js";
import { shortId } from "../words.js";
import { dialog } from "./dialogs.js";
import { figures } from "./figures.js";
import { asOf } from "./freshness.js";
import { jobPane } from "./job.js";
import { operationList } from "./operations.js";
import { overview } from "./overview.js";
import { treePane } from "./tree.js";
import { verdict, verdictInTitle, verdictInWord } from "./verdict.js";

/** @import { SpawnError } from "../../client.js" */
/** @import { LiveState } from "../live.js" */
/** @import { Board } from "../state/board.js" */
/** @typedef {{search: (event: Event) => void, help: () => void}} Actions */

/** @type {Record<LiveState, string>} */
const STATES = {
  connecting: "Connecting …",
  live: "Live",
  polling: "Polling every 5 s",
  lost: "Disconnected",
  unreachable: "Database unreachable",
  stale: "Out of date",
};

/** @param {Board} board */
export function titleOf(board) {
  const root = board.selection.tree?.root.job;
  const wrong = verdictInTitle(board.overview.health.value);
  const place = root ? `${visible(root.queue)} ${shortId(root.id)}` : "";
  return [wrong, place, "hammerwork"].filter(Boolean).join(" · ");
}

/**
 * @param {Board} board
 * @param {Actions} actions
 * @param {number} now
 */
export function page(board, actions, now) {
  const { session, selection, toast } = board;
  const selected = selection.id !== null;
  const error = session.error ?? board.overview.error;
  return html`
    ${header(board, actions, now)} ${verdict(board.overview.health, now)} ${error ? alert(board, error) : nothing}
    <main class=${selected ? "with-tree" : "without-tree"}>
      <section class="side" aria-label="Operations">
        <div class="filters">${queueFilter(board)} ${levelFilter(board)}</div>
        <div class="scroll">${operationList(board, now)}</div>
      </section>
      <section class="middle" aria-label=${selected ? "Tree" : "Overview"}>
        ${figures(board.overview, now)} ${selected ? treePane(board) : overview(board, now)}
      </section>
      ${selected ? html`<aside class="side" aria-label="Job">${jobPane(board, now)}</aside>` : nothing}
    </main>
    <div class="toast ${toast.message?.kind ?? ""}" role="status" aria-live="polite">${toast.message?.text ?? ""}</div>
    ${dialog(board)}
  `;
}

/**
 * @param {Board} board
 * @param {Actions} actions
 * @param {number} now
 */
function header({ overview: { health, operations }, search, session }, actions, now) {
  const state = stateOf(session.live, operations.error);
  return html`<header>
    <h1>
      <a href=${OVERVIEW}><img src="static/icon.svg" alt="" width="18" height="18" /> hammerwork</a>
    </h1>
    <form role="search" @submit=${actions.search}>
      <input
        id="search"
        type="search"
        aria-label="Find a job by ID prefix"
        placeholder="Job ID or prefix"
        autocomplete="off"
        spellcheck="false"
        @input=${() => search.clear()}
      />
      ${search.outcome ? searchOutcome(search.outcome) : nothing}
    </form>
    <span class="grow"></span>
    <span class="quiet">${session.database}</span>
    ${session.readOnly && session.database ? html`<span class="badge">read-only</span>` : nothing}
    ${verdictInWord(health, now)}
    <span class="connection ${state}" role="status">${STATES[state]}</span> ${asOf(operations)}
    <button aria-label="Switch between dark and light" title="Switch between dark and light (t)" @click=${() => toggleTheme()}>
      ◐
    </button>
    <button aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" @click=${actions.help}>?</button>
  </header>`;
}

/** @param {{message: string, candidates: string[]}} outcome */
function searchOutcome({ message, candidates }) {
  return html`<div class="found" role="status">
    <p>${message}</p>
    ${candidates.map((id) => html`<a href=${addressOf(id)}><code>${id}</code></a>`)}
  </div>`;
}

/**
 * @param {Board} board
 * @param {SpawnError} error
 */
function alert(board, error) {
  return html`<div class="alert" role="alert">
    <span class="grow">${error.detail}${error.hint ? html` <span class="quiet">${error.hint}</span>` : nothing}</span>
    <button @click=${() => board.refresh({ figures: true })}>Try again</button>
  </div>`;
}

/** @param {Event} event */
const selectOf = (event) => /** @type {HTMLSelectElement} */ (event.target);

/** @param {Board} board */
function queueFilter(board) {
  const { internal, queue: chosen, queues } = board.overview;
  const shown = (queues.value ?? []).filter((queue) => internal || !queue.internal);
  const names = shown.map((queue) => queue.queue);
  /** @param {Event} event */
  const choose = (event) => board.overview.filter({ queue: names[selectOf(event).selectedIndex - 1] ?? "" });
  return html`<select aria-label="Queue" @change=${choose}>
    <option .selected=${live(chosen === "")}>All queues</option>
    ${names.map((name) => html`<option .selected=${live(name === chosen)}>${name}</option>`)}
  </select>`;
}

/** @param {Board} board */
function levelFilter(board) {
  const { everyLevel, queue } = board.overview;
  const change = () => board.overview.filter({ everyLevel: !everyLevel });
  return html`<label title="Also list operations below others">
    <input
      type="checkbox"
      .checked=${live(everyLevel || queue !== "")}
      ?disabled=${queue !== ""}
      @change=${change}
    />
    Every level
  </label>`;
}
