// The pane of a tree.

import { addressOf, OVERVIEW } from "../address.js";
import { kindOf, signOf } from "../statuses.js";
import { html, nothing, repeat } from "../template.js";
import { failedBelow, isFailure } from "../tree/items.js";
import { rangeInView, ROW, rowsPerPage, scrolledTo } from "../tree/viewport.js";
import { openable, step } from "../tree/walking.js";
import { attemptSeconds, count, counted, duration, firstLine, shortId } from "../words.js";
import { bar } from "./bar.js";
import { failedOf } from "./operations.js";

/** @import { Status, TreeCounts } from "../../client.js" */
/** @import { Board } from "../state/board.js" */
/** @import { Part } from "../state/part.js" */
/** @import { Selection } from "../state/selection.js" */
/** @import { Item, List, Place, TreeJob } from "../tree/items.js" */
/** @import { Row } from "../tree/rows.js" */
/** @import { Tree } from "../tree/tree.js" */

/** The height that is assumed before the pane is drawn. */
const USUAL_HEIGHT = 800;

const pane = () => document.getElementById("tree");

/** @param {Board} board */
export function treePane(board) {
  const { active, notFound, tree } = board.selection;
  if (notFound) return html`${crumbs(board)}<p class="failed pad" role="alert">${notFound.detail}</p>`;
  return html`${crumbs(board)}
    <div
      id="tree"
      role="tree"
      tabindex="0"
      aria-label="Jobs"
      aria-activedescendant=${active?.id ?? nothing}
      @scroll=${board.draw}
      @keydown=${(/** @type {KeyboardEvent} */ event) => onKey(board, event)}
    >
      ${tree ? rowsInView(board, tree) : nothing}
    </div>`;
}

/** @param {Board} board */
function crumbs(board) {
  const { ancestors, id, tree } = board.selection;
  const copy = () => id && board.changes.copyMermaid(id);
  return html`<div class="crumbs">
    <nav aria-label="Ancestors">
      <a href=${OVERVIEW}>Overview</a>
      ${ancestors.map((job) => html`<span>›</span><a href=${addressOf(job.id)}>${job.queue} <code>${shortId(job.id)}</code></a>`)}
      ${tree && id ? html`<span>›</span><b>${tree.root.job.queue} <code>${shortId(id)}</code></b>` : nothing}
    </nav>
    <span class="buttons">
      ${tree && hasFailures(board) ? html`<button title="n" @click=${() => showNextFailure(board)}>Next failure</button>` : nothing}
      ${tree ? html`<button @click=${copy}>Copy as Mermaid</button>` : nothing}
    </span>
  </div>`;
}

/** @param {Board} board */
function hasFailures({ selection: { totals, tree } }) {
  return Boolean(tree && (totals.value?.failed || isFailure(tree.root.job) || failedBelow(tree.root.job)));
}

/**
 * Goes to the next failed job of the tree, on whatever level.
 * @param {Board} board
 */
export async function showNextFailure({ selection }) {
  const row = await selection.nextFailure();
  const at = row ? (selection.tree?.rows.indexOf(row) ?? -1) : -1;
  if (!row || at < 0) return;
  goTo(selection, row, at);
}

/**
 * @param {Board} board
 * @param {Tree} tree
 */
function rowsInView(board, { rows }) {
  const { from, to } = rangeInView(pane()?.scrollTop ?? 0, pane()?.clientHeight || USUAL_HEIGHT);
  const drawn = rows.slice(from, to).map((row, index) => ({ row, top: (from + index) * ROW }));
  return html`<div role="none" class="rows" .style=${`height: ${rows.length * ROW}px`}>
    ${repeat(drawn, ({ row }) => row.key, ({ row, top }) => rowLine(board, row, top))}
  </div>`;
}

/** @param {Row} row */
const rowId = ({ kind, item }) => `row-${item.number}${kind === "more" || kind === "note" ? `-${kind}` : ""}`;

/**
 * @param {Board} board
 * @param {Row} row
 * @param {number} top
 */
function rowLine(board, row, top) {
  const item = openable(row);
  /** @param {Event} event */
  const toggle = (event) => {
    event.stopPropagation();
    if (item) board.selection.tree?.toggle(item);
  };
  return html`<div
    role="treeitem"
    id=${rowId(row)}
    class="row ${row.kind}"
    aria-level=${row.level}
    aria-posinset=${row.position}
    aria-setsize=${row.size}
    aria-selected=${board.selection.active?.key === row.key}
    aria-expanded=${item ? String(item.open) : nothing}
    .style=${`transform: translateY(${top}px); padding-left: ${8 + 18 * Math.min(row.level - 1, 30)}px`}
    @click=${() => choose(board, row)}
  >
    <span class="twisty" aria-hidden="true" @click=${toggle}>${item ? (item.open ? "▾" : "▸") : ""}</span>
    ${line(row, board.selection.totals)}
  </div>`;
}

/**
 * @param {Row} row
 * @param {Part<TreeCounts>} totals of the tree
 */
function line(row, totals) {
  if (row.kind === "job") return jobLine(row.item, row.item.list ? null : totals);
  if (row.kind === "group") return groupLine(row.item);
  return row.kind === "more" ? moreLine(row.item) : noteLine(row.item);
}

/**
 * @param {Place} place
 * @param {Part<TreeCounts> | null} totals of the tree, for its root
 */
function jobLine({ job, total, reading, lists, again }, totals) {
  const about = again ? "already shown above" : (job.operation_id ?? "");
  const failed = Math.max(failedBelow(job), totals?.value?.failed ?? 0);
  return html`${worstSign(job.status, failed)}
    <span class="name" title=${job.queue}>${job.queue}</span>
    <code>${shortId(job.id)}</code>
    <span class="status ${kindOf(job.status)}">${job.status}</span>
    <span class="grow cut ${job.error ? "failed" : "quiet"}" title=${job.error ?? nothing}
      >${job.error ? firstLine(job.error) : about}</span
    >
    ${total ? below(totals, job, total) : nothing}
    <span class="time ${job.status === "Running" ? "running" : "quiet"}"
      >${reading && !lists.length ? "…" : duration(attemptSeconds(job, Date.now()))}</span
    >`;
}

/** @param {List} list */
function groupLine({ queue, status, total, reading, jobs, failedBelow: failed, moreFailedBelow: more }) {
  const shown = status ?? "";
  return html`${worstSign(shown, failed)}
    <span class="name" title=${queue ?? nothing}>${queue}</span>
    <span class="number">×${count(total)}</span>
    <span class="status ${kindOf(shown)}">${shown}</span>
    ${failedOnAllLevels(failed, more)}
    <span class="grow quiet">${reading && !jobs.length ? "…" : ""}</span>`;
}

/** @param {List} list */
function moreLine({ total, jobs, wantsMore }) {
  return html`<span class="link">${count(Math.max(total - jobs.length, 1))} more …</span>
    <span class="quiet">${wantsMore ? "Loading …" : ""}</span>`;
}

/** @param {Item} item */
function noteLine({ error }) {
  return html`<span class="failed">${/** @type {{detail?: string}} */ (error).detail ?? String(error)}</span>`;
}

/**
 * The sign of the worst state at or below a job.
 * @param {Status} status of the job
 * @param {number} failed the number of failed jobs below it
 */
const worstSign = (status, failed) =>
  failed
    ? html`<span class="sign failed" title="${status}, with failures below">${signOf("Failed")}</span>`
    : html`<span class="sign ${kindOf(status)}">${signOf(status)}</span>`;

/**
 * @param {number} failed the number of failed jobs
 * @param {boolean} more whether there may be more
 */
function failedOnAllLevels(failed, more) {
  return failed ? html`<b class="failed">${more ? "at least " : ""}${count(failed)} failed below</b>` : nothing;
}

/**
 * The counts of a whole tree beside its root, of children beside other jobs.
 * @param {Part<TreeCounts> | null} totals
 * @param {TreeJob} job
 * @param {number} total
 */
function below(totals, job, total) {
  const of = counted(total, "child", "children");
  const { child_counts: children, failed_below: failed = 0, more_failed_below: more = false } = job;
  const whole = totals?.value;
  if (whole) return countsIn(whole, `${whole.more ? "at least " : ""}${counted(whole.total, "job")} below`);
  if (totals && !totals.error) return html`<span class="quiet">${of}, counting all below …</span>`;
  const deeper = !totals && failed > (children?.failed ?? 0) ? failedOnAllLevels(failed, more) : nothing;
  return html`${deeper} ${children ? countsIn({ ...children, more: false }, of) : html`<span class="quiet">${of}</span>`}`;
}

/**
 * @param {TreeCounts} counts
 * @param {string} all
 */
function countsIn(counts, all) {
  const unfinished = counts.running + counts.pending;
  const retrying = counts.retrying ? ` (${count(counts.retrying)} retrying)` : "";
  const open = unfinished ? `, ${count(unfinished)} unfinished${retrying}` : "";
  return html`<span class="quiet cut below">${failedOf(counts)}${all}${open}</span>
    ${bar(counts)}`;
}

// Clicks and keys.

/**
 * @param {Board} board
 * @param {Row} row
 */
function choose(board, row) {
  const { selection } = board;
  const { tree } = selection;
  if (!tree) return;
  selection.activate(row, rowId(row), tree.rows.indexOf(row));
  if (row.kind === "more") tree.readMore(row.item);
  else if (row.kind === "group") tree.toggle(row.item);
}

/**
 * @param {Board} board
 * @param {KeyboardEvent} event
 */
function onKey({ selection }, event) {
  const { active, tree } = selection;
  const scroller = pane();
  if (!tree || !scroller || event.ctrlKey || event.metaKey || event.altKey) return;
  const { rows } = tree;
  const found = rows.findIndex((row) => row.key === active?.key);
  // When a job has moved to another group, the row that took its place is the active one.
  const at = found < 0 ? Math.min(active?.at ?? 0, rows.length - 1) : found;
  const taken = step(event.key, { rows, at, page: rowsPerPage(scroller.clientHeight) });
  if (!taken) return;
  event.preventDefault();
  if (taken.open) tree.open(taken.open);
  if (taken.close) tree.close(taken.close);
  if (taken.readMore) tree.readMore(taken.readMore);
  if (taken.move !== undefined) goTo(selection, rows[taken.move], taken.move);
}

/**
 * Activates a row, and scrolls to it.
 * @param {Selection} selection
 * @param {Row} row
 * @param {number} at its index
 */
function goTo(selection, row, at) {
  selection.activate(row, rowId(row), at);
  const scroller = pane();
  // The rows that were read just now are not drawn before the next frame, and the pane scrolls no further than they reach.
  if (scroller) requestAnimationFrame(() => scroller.scrollTo(0, scrolledTo(at, scroller)));
}
