// The list of operations: failures first, then running ones, then the rest; the newest first in each section.

import { addressOf } from "../address.js";
import { sectionOf } from "../counts.js";
import { kindOf, signOf } from "../statuses.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, counted, countsInWords, duration, shortId } from "../words.js";
import { bar } from "./bar.js";
import { note } from "./freshness.js";

/** @import { SpawnOperation } from "../../client.js" */
/** @import { Section } from "../counts.js" */
/** @import { Board } from "../state/board.js" */

/** @type {[kind: Section, title: string][]} */
const SECTIONS = [
  ["failed", "With failures"],
  ["running", "Running"],
  ["completed", "Completed"],
];

/**
 * @param {Board} board
 * @param {number} now
 */
export function operationList(board, now) {
  const part = board.overview.operations;
  const operations = part.value;
  if (operations === null) return html`<p class="pad">${note(part, now)}</p>`;
  if (!operations.length) return html`<p class="quiet pad">No job has spawned children yet.</p>`;
  const sections = SECTIONS.map(([kind, title]) => {
    const members = operations.filter((operation) => sectionOf(operation) === kind);
    return section(board, kind, title, members, now);
  });
  const more = html`<button class="more" @click=${() => board.readMoreOperations()}>Load older operations</button>`;
  const age = part.error ? html`<p class="pad age">${note(part, now)}</p>` : nothing;
  return html`${age} ${sections} ${operations.cursor ? more : nothing}`;
}

/**
 * @param {Board} board
 * @param {Section} kind
 * @param {string} title
 * @param {SpawnOperation[]} operations
 * @param {number} now
 */
function section(board, kind, title, operations, now) {
  if (!operations.length) return nothing;
  return html`<section class="operations ${kind}" aria-labelledby="section-${kind}">
    <h2 id="section-${kind}">${title} <span class="number">${count(operations.length)}</span></h2>
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
  const { parent_id: id, children } = operation;
  const selected = board.selection.id === id;
  const failed = html`<b class="failed">${count(children.failed)} failed</b> of `;
  return html`<li>
    <a class="operation" href=${addressOf(id)} data-id=${id} aria-current=${selected ? "true" : "false"}>
      <span class="line">
        <span class="sign ${kindOf(operation.status)}" title=${operation.status}>${signOf(operation.status)}</span>
        <span class="name" title=${operation.queue}>${operation.queue}</span>
        <code>${shortId(id)}</code>
        <span class="quiet grow cut">${operation.operation_id ?? operation.workflow_name ?? ""}</span>
        <span class="quiet">${ago(operation.spawned_at ?? operation.created_at, now)}</span>
      </span>
      ${bar(children, `Children of ${operation.queue} ${shortId(id)}`)}
      <span class="line quiet">
        <span class="grow cut"
          >${children.failed ? failed : nothing}${counted(children.total, "child", "children")}${unfinished(children)}</span
        >
        <span>${operation.wall_time_seconds === null ? nothing : `in ${duration(operation.wall_time_seconds)}`}</span>
      </span>
    </a>
  </li>`;
}

/** @param {{running: number, pending: number}} counts */
function unfinished({ running, pending }) {
  const words = countsInWords({ running, pending });
  return words ? ` · ${words}` : "";
}
