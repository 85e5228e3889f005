// The list of operations: those with failures, then unfinished ones, then the rest; the newest first in each section.

import { addressOf } from "../address.js";
import { countsOf, sectionsOf, worstStatus } from "../counts.js";
import { kindOf, signOf } from "../statuses.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, counted, countsInWords, duration, shortId } from "../words.js";
import { bar } from "./bar.js";
import { note } from "./freshness.js";

/** @import { Page, SpawnOperation, TreeCounts } from "../../client.js" */
/** @import { Section } from "../counts.js" */
/** @import { Board } from "../state/board.js" */
/** @import { Growing } from "../state/growing.js" */

/** @type {Record<Section, string>} */
const TITLES = { failed: "with failures", unfinished: "unfinished", completed: "completed" };

/**
 * @param {Board} board
 * @param {number} now
 */
export function operationList(board, now) {
  const { failing, operations } = board.overview;
  const age = operations.error || !operations.value ? html`<p class="pad age">${note(operations, now)}</p>` : nothing;
  if (!operations.value && !failing.value) return age;
  const members = sectionsOf(failing.value ?? [], operations.value ?? []);
  const { failed, unfinished: open, completed } = members;
  if (!failed.length && !open.length && !completed.length) return html`${age}<p class="quiet pad">${none(board)}</p>`;
  // Of these sections only the newest are here.
  const rest = operations.value?.cursor ? "+" : "";
  return html`${age} ${section(board, "failed", failedInAll(failing.value, failed.length), failed, now)}
  ${furtherButton(board, failing, "Load more operations with failures")}
  ${section(board, "unfinished", `${count(open.length)}${rest}`, open, now)}
  ${section(board, "completed", `${count(completed.length)}${rest}`, completed, now)}
  ${furtherButton(board, operations, "Load older operations")}`;
}

/**
 * The number of all operations with failures: "1,390", "2,000+".
 * @param {Page<SpawnOperation> | null} failing
 * @param {number} shown
 */
function failedInAll(failing, shown) {
  const { total = null, more = true } = failing ?? {};
  return `${count(Math.max(total ?? 0, shown))}${more ? "+" : ""}`;
}

/** @param {Board} board */
const none = ({ overview: { queue } }) =>
  queue ? `No job of the queue ${queue} has spawned children.` : "No job has spawned children yet.";

/**
 * @param {Board} board
 * @param {Growing<SpawnOperation>} list
 * @param {string} title
 */
const furtherButton = (board, list, title) =>
  list.value?.cursor
    ? html`<button class="more" ?disabled=${list.isReadingMore} @click=${() => board.readMore(list)}>${title}</button>`
    : nothing;

/**
 * @param {Board} board
 * @param {Section} kind
 * @param {string} number of all that there are
 * @param {SpawnOperation[]} operations
 * @param {number} now
 */
function section(board, kind, number, operations, now) {
  if (!operations.length) return nothing;
  const noun = board.overview.everyLevel || board.overview.queue ? "Operations" : "Trees";
  return html`<section class="operations ${kind}" aria-labelledby="section-${kind}">
    <h2 id="section-${kind}">${noun} ${TITLES[kind]} <span class="number">${number}</span></h2>
    <ul>
      ${repeat(operations, (one) => one.parent_id, (one) => operationItem(board, one, now))}
    </ul>
  </section>`;
}

/**
 * @param {Board} board
 * @param {SpawnOperation} operation
 * @param {number} now
 */
function operationItem(board, operation, now) {
  const { parent_id: id, tree } = operation;
  const selected = board.selection.id === id;
  const counts = countsOf(operation, selected || countsOf(operation).more ? board.totals.of(id) : null);
  const worst = worstStatus(operation.status, counts);
  const all = tree || counts.more || counts.total > operation.children.total ? counted(counts.total, "job") : counted(counts.total, "child", "children");
  return html`<li>
    <a class="operation" href=${addressOf(id)} data-id=${id} aria-current=${selected ? "true" : "false"}>
      <span class="line">
        <span class="sign ${kindOf(worst)}" title="Itself ${operation.status}">${signOf(worst)}</span>
        <span class="name" title=${operation.queue}>${operation.queue}</span>
        <code>${shortId(id)}</code>
        <span class="quiet grow cut">${operation.operation_id ?? operation.workflow_name ?? ""}</span>
        <span class="quiet">${ago(operation.spawned_at ?? operation.created_at, now)}</span>
      </span>
      ${bar(counts, `${tree ? "Jobs below" : "Children of"} ${operation.queue} ${shortId(id)}`)}
      <span class="line quiet">
        <span class="grow cut"
          >${failedOf(counts)}${counts.more ? "at least " : ""}${all}${unfinished(counts)}</span
        >
        <span>${operation.wall_time_seconds === null ? nothing : `in ${duration(operation.wall_time_seconds)}`}</span>
      </span>
    </a>
  </li>`;
}

/**
 * "3 failed of "; of a tree that was not counted to its end, "at least 3 failed, ", which is no share of anything.
 * @param {TreeCounts} counts
 */
export function failedOf({ failed, more }) {
  if (!failed) return nothing;
  return html`<b class="failed">${more ? "at least " : ""}${count(failed)} failed</b>${more ? ", " : " of "}`;
}

/** @param {{running: number, pending: number, retrying?: number}} counts */
function unfinished({ running, pending, retrying }) {
  const words = countsInWords({ running, pending, retrying });
  return words ? ` · ${words}` : "";
}
