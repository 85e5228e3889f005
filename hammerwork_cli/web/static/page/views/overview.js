// The overview: the newest failures, queues, workers, and spawning by queue and handler.

import { addressOf } from "../address.js";
import { failureGroups } from "../failures.js";
import { signOf } from "../statuses.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, counted, duration, firstLine, rate, shortId } from "../words.js";
import { heading, headingAlone } from "./freshness.js";
import { internalButton, queueTable } from "./queues.js";

/** @import { JobNode, SpawnFigures, SpawnStats, Worker } from "../../client.js" */
/** @import { Board } from "../state/board.js" */
/** @import { Part } from "../state/part.js" */
/** @import { FailureGroup } from "../failures.js" */
/** @typedef {SpawnFigures & {name: string | null}} NamedFigures */

/** Groups of failures that are listed. */
const MOST_GROUPS = 8;

/**
 * @param {Board} board
 * @param {number} now
 */
export function overview(board, now) {
  const { failures, stats } = board.overview;
  return html`<div class="overview">
    ${latestFailures(failures, now)} ${queueTable(board, now)} ${workerTable(board, now)} ${spawnTables(stats, now)}
  </div>`;
}

/**
 * @param {Part<JobNode[]>} part
 * @param {number} now
 */
function latestFailures(part, now) {
  const failures = part.value;
  if (!failures?.length) return headingAlone("Newest failures", part, now);
  const groups = failureGroups(failures);
  const of = failures.length > groups.length ? ` by error, of the last ${count(failures.length)}` : "";
  return html`${heading(`Newest failures${of}`, part, now)}
    <table class="failures">
      <tbody>
        ${repeat(groups.slice(0, MOST_GROUPS), ({ newest }) => newest.id, (group) => failureRow(group, now))}
      </tbody>
    </table>`;
}

/**
 * @param {FailureGroup} group
 * @param {number} now
 */
function failureRow({ newest: job, jobs }, now) {
  return html`<tr>
    <th scope="row">
      <a href=${addressOf(job.id)}><span class="name">${job.queue}</span> <code>${shortId(job.id)}</code></a>
    </th>
    <td class="failed">${signOf(job.status)} ${job.status}${jobs > 1 ? ` \u00d7${count(jobs)}` : ""}</td>
    <td class="error">${job.error ? firstLine(job.error) : ""}</td>
    <td class="right quiet">${ago(job.failed_at ?? job.completed_at ?? job.created_at, now)}</td>
  </tr>`;
}

/**
 * The states of workers that need somebody, the worst first.
 * @type {(string | null)[]}
 */
const TROUBLED = ["lost", "stalled", "silent"];

/**
 * @param {Board} board
 * @param {number} now
 */
function workerTable(board, now) {
  const { workers: part, internal: all } = board.overview;
  if (!part.value?.length) return headingAlone("Workers", part, now);
  const own = part.value.filter((worker) => !worker.internal);
  /** @param {Worker} worker */
  const trouble = ({ state }) => (TROUBLED.indexOf(state) + TROUBLED.length + 1) % (TROUBLED.length + 1);
  const workers = [...(all ? part.value : own)].sort((one, other) => trouble(one) - trouble(other));
  const folded = part.value.length - own.length;
  const since = part.secondsSince(now);
  return html`${heading("Workers", part, now)}
    <table class="workers">
      <thead>
        <tr>
          <th>Worker</th>
          <th>State</th>
          <th>Queues</th>
          <th class="right">Running</th>
          <th class="right">Completed</th>
          <th class="right">Failed attempts</th>
          <th class="right">Jobs per minute</th>
          <th class="right">Last heartbeat</th>
        </tr>
      </thead>
      <tbody>
        ${repeat(workers, (worker) => worker.id, (worker) => workerRow(worker, since))}
      </tbody>
    </table>
    ${internalButton(board, counted(folded, "internal worker"), folded)}`;
}

/**
 * @param {Worker} worker
 * @param {number} since the seconds since the answer
 */
function workerRow(worker, since) {
  return html`<tr data-worker=${worker.name} tabindex="-1">
    <th scope="row" title="${worker.host}, process ${worker.pid}">
      <span class="name">${worker.name}</span> <code>${shortId(worker.id)}</code>
    </th>
    <td class=${TROUBLED.includes(worker.state) ? "failed" : ""}>${worker.state}</td>
    <td>${worker.queues.join(", ")}</td>
    <td class="right">${count(worker.running)} of ${count(worker.concurrency)}</td>
    <td class="right">${count(worker.completed)}</td>
    <td class="right ${worker.failed ? "failed" : "quiet"}">${count(worker.failed)}</td>
    <td class="right">${worker.jobs_per_minute === null ? "–" : Math.round(worker.jobs_per_minute)}</td>
    <td class="right quiet">${duration(worker.silent_seconds + since)} ago</td>
  </tr>`;
}

/**
 * @param {Part<SpawnStats>} part
 * @param {number} now
 */
function spawnTables(part, now) {
  const stats = part.value;
  if (!stats) return heading("Spawned by queue", part, now);
  const byQueue = spawnTable("Spawned by queue", "Queue", stats.by_queue);
  // Operations without a named handler are listed under their queue.
  const alike = JSON.stringify(stats.by_queue) === JSON.stringify(stats.by_handler);
  return html`${byQueue} ${alike ? nothing : spawnTable("Spawned by handler", "Handler", stats.by_handler)}`;
}

/**
 * @param {string} title
 * @param {string} name
 * @param {NamedFigures[] | null} groups
 */
function spawnTable(title, name, groups) {
  if (!groups?.length) return nothing;
  return html`<h2>${title}</h2>
    <table>
      <thead>
        <tr>
          <th>${name}</th>
          <th class="right">Operations</th>
          <th class="right">Children</th>
          <th class="right">Average</th>
          <th class="right">Largest</th>
          <th class="right">Success</th>
        </tr>
      </thead>
      <tbody>
        ${groups.map(spawnRow)}
      </tbody>
    </table>`;
}

/** @param {NamedFigures} group */
function spawnRow(group) {
  return html`<tr>
    <th scope="row" class="name">${group.name ?? "–"}</th>
    <td class="right">${count(group.operations)}</td>
    <td class="right">${count(group.children)}</td>
    <td class="right">${group.average === null ? "–" : Math.round(group.average * 10) / 10}</td>
    <td class="right">${count(group.largest)}</td>
    <td class="right ${group.success_rate !== null && group.success_rate < 1 ? "failed" : ""}">
      ${rate(group.success_rate)}
    </td>
  </tr>`;
}
