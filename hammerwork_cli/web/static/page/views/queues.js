// The table of queues.

import { countsByKind } from "../counts.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, duration } from "../words.js";
import { bar } from "./bar.js";
import { heading } from "./freshness.js";

/** @import { Queue } from "../../client.js" */
/** @import { Board } from "../state/board.js" */
/** @import { Question } from "../state/dialogs.js" */

/**
 * @param {Board} board
 * @param {number} now
 */
export function queueTable(board, now) {
  const part = board.overview.queues;
  const queues = part.value;
  if (!queues) return heading("Queues", part, now);
  if (!queues.length) return html`${heading("Queues", part, now)}<p class="quiet">No queue has jobs yet.</p>`;
  return html`${heading("Queues", part, now)}
    <table>
      <thead>
        <tr>
          <th>Queue</th>
          <th class="wide">Jobs</th>
          <th class="right">Failed</th>
          <th class="right" title="Waiting for another attempt after one failed">Retrying</th>
          <th class="right">Running</th>
          <th class="right">Pending</th>
          <th class="right">Completed</th>
          <th class="right">Oldest pending</th>
          <th><span class="hidden">Actions</span></th>
        </tr>
      </thead>
      <tbody>
        ${repeat(queues, (queue) => queue.queue, (queue) => queueRow(board, queue, now))}
      </tbody>
    </table>`;
}

/**
 * @param {Board} board
 * @param {Queue} queue
 * @param {number} now
 */
function queueRow(board, queue, now) {
  const counts = countsByKind(Object.entries(queue.by_status), queue.total);
  const waiting = counts.pending - counts.retrying;
  const oldest = queue.oldest_pending_seconds;
  return html`<tr data-queue=${queue.queue}>
    <th scope="row"><span class="name">${queue.queue}</span> ${pauseBadge(queue, now)}</th>
    <td>${bar(counts, `Jobs of ${queue.queue}`)}</td>
    <td class="right ${counts.failed ? "failed" : "quiet"}">${count(counts.failed)}</td>
    <td class="right ${counts.retrying ? "failed" : "quiet"}">${count(counts.retrying)}</td>
    <td class="right ${counts.running ? "" : "quiet"}">${count(counts.running)}</td>
    <td class="right ${waiting ? "" : "quiet"}">${count(waiting)}</td>
    <td class="right">${count(counts.completed)}</td>
    <td class="right quiet">${oldest === null ? "–" : duration(oldest + board.overview.queues.secondsSince(now))}</td>
    <td class="right">${board.session.readOnly ? nothing : pauseButton(board, queue)}</td>
  </tr>`;
}

/**
 * @param {Queue} queue
 * @param {number} now
 */
function pauseBadge(queue, now) {
  if (!queue.paused) return nothing;
  const reason = queue.paused_reason ? `: ${queue.paused_reason}` : "";
  const about = `Paused ${ago(queue.paused_at, now)} by ${queue.paused_by ?? "an unknown user"}${reason}`;
  return html`<span class="badge paused" title=${about}>paused${reason}</span>`;
}

/**
 * @param {Board} board
 * @param {Queue} queue
 */
function pauseButton(board, { queue, paused }) {
  /** @type {Question} */
  const question = paused
    ? {
        title: `Resume ${queue}?`,
        text: "Workers will claim jobs from this queue again.",
        yes: "Resume",
        act: () => board.client.resumeQueue(queue),
        done: `Resumed ${queue}.`,
      }
    : {
        title: `Pause ${queue}?`,
        text: "Workers finish their running jobs and claim no others from this queue until you resume it.",
        yes: "Pause",
        reason: true,
        act: (reason) => board.client.pauseQueue(queue, reason || null),
        done: `Paused ${queue}.`,
      };
  return html`<button @click=${() => board.changes.confirm(question)}>${question.yes}</button>`;
}
