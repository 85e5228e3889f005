// The overview: the latest failures, queues, workers, and spawning by queue and handler.

import { addressOf } from "../address.js";
import { signOf } from "../statuses.js";
import { html, nothing, repeat } from "../template.js";
import { ago, count, duration, firstLine, rate, shortId } from "../words.js";
import { queueTable } from "./queues.js";

/** @import { JobNode, SpawnFigures, SpawnStats, Worker } from "../../client.js" */
/** @import { Board } from "../state/board.js" */
/** @typedef {SpawnFigures & {name: string | null}} NamedFigures */

/**
 * @param {Board} board
 * @param {number} now
 */
export function overview(board, now) {
  const { failures, workers, stats } = board.overview;
  return html`<div class="overview">
    ${latestFailures(failures, now)} ${queueTable(board, now)} ${workerTable(workers)} ${spawnTables(stats)}
  </div>`;
}

/**
 * @param {JobNode[] | null} failures
 * @param {number} now
 */
function latestFailures(failures, now) {
  if (!failures?.length) return nothing;
  return html`<h2>Latest failures</h2>
    <table class="failures">
      <tbody>
        ${repeat(failures, (job) => job.id, (job) => failureRow(job, now))}
      </tbody>
    </table>`;
}

/**
 * @param {JobNode} job
 * @param {number} now
 */
function failureRow(job, now) {
  return html`<tr>
    <th scope="row">
      <a href=${addressOf(job.id)}><span class="name">${job.queue}</span> <code>${shortId(job.id)}</code></a>
    </th>
    <td class="failed">${signOf(job.status)} ${job.status}</td>
    <td class="error">${job.error ? firstLine(job.error) : ""}</td>
    <td class="right quiet">${ago(job.failed_at ?? job.completed_at ?? job.created_at, now)}</td>
  </tr>`;
}

/** @param {Worker[] | null} workers */
function workerTable(workers) {
  if (!workers?.length) return nothing;
  return html`<h2>Workers</h2>
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
        ${repeat(workers, (worker) => worker.id, workerRow)}
      </tbody>
    </table>`;
}

/** @param {Worker} worker */
function workerRow(worker) {
  return html`<tr>
    <th scope="row" title="${worker.host}, process ${worker.pid}">
      <span class="name">${worker.name}</span> <code>${shortId(worker.id)}</code>
    </th>
    <td class=${worker.state === "lost" || worker.state === "silent" ? "failed" : ""}>${worker.state}</td>
    <td>${worker.queues.join(", ")}</td>
    <td class="right">${count(worker.running)} of ${count(worker.concurrency)}</td>
    <td class="right">${count(worker.completed)}</td>
    <td class="right ${worker.failed ? "failed" : "quiet"}">${count(worker.failed)}</td>
    <td class="right">${worker.jobs_per_minute === null ? "–" : Math.round(worker.jobs_per_minute)}</td>
    <td class="right quiet">${duration(worker.silent_seconds)} ago</td>
  </tr>`;
}

/** @param {SpawnStats | null} stats */
function spawnTables(stats) {
  if (!stats) return nothing;
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
