// The table of queues.

import { countsOfQueue, failedShare, worstFirst } from "../queues.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, counted, duration, rate } from "../words.js";
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
  if (!part.value) return heading("Queues", part, now);
  const own = part.value.filter((queue) => !queue.internal);
  const queues = worstFirst(board.overview.internal ? part.value : own);
  const folded = part.value.length - own.length;
  if (!part.value.length) return html`${heading("Queues", part, now)}<p class="quiet">No queue has jobs yet.</p>`;
  return html`${heading("Queues", part, now)}
    <table>
      <thead>
        <tr>
          <th>Queue</th>
          <th class="wide">Jobs</th>
          <th class="right" title="With their share of the jobs that have ended and are kept">Failed</th>
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
    </table>
    ${internalButton(board, counted(folded, "internal queue"), folded)}`;
}

/**
 * Shows what is of hammerwork itself, or hides it.
 * @param {Board} board
 * @param {string} what "2 internal queues"
 * @param {number} number of these
 */
export function internalButton({ overview }, what, number) {
  if (!number) return nothing;
  return html`<button class="internal" aria-expanded=${String(overview.internal)} @click=${() => overview.toggleInternal()}>
    ${overview.internal ? "Hide" : "Show"} ${what}
  </button>`;
}

/**
 * @param {Board} board
 * @param {Queue} queue
 * @param {number} now
 */
function queueRow(board, queue, now) {
  const counts = countsOfQueue(queue);
  const waiting = counts.pending - counts.retrying;
  const oldest = queue.oldest_pending_seconds;
  const share = counts.failed ? html` <span class="share">${rate(failedShare(counts))}</span>` : nothing;
  return html`<tr data-queue=${queue.queue} tabindex="-1">
    <th scope="row"><span class="name">${queue.queue}</span> ${pauseBadge(queue, now)}</th>
    <td>${bar(counts, `Jobs of ${queue.queue}`)}</td>
    <td class="right ${counts.failed ? "failed" : "quiet"}">${count(counts.failed)}${share}</td>
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
