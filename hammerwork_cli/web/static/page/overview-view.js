import { html, nothing } from "./template.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { bar } from "./bar.js";
import { ago, count, counted, countsInWords, duration, firstLine, kindOf, rate, shortId, signOf } from "./words.js";

// Operations: failures first, then what runs, then the rest; the newest first in each.

const SECTIONS = [
  ["failed", "With failures"],
  ["running", "Running"],
  ["completed", "Completed"],
];

export function operationList(board, now) {
  const { operations } = board;
  if (operations === null) return html`<p class="quiet pad">${board.trouble ? "" : "Reading …"}</p>`;
  if (!operations.length) return html`<p class="quiet pad">Nothing was spawned here yet.</p>`;
  const sections = new Map(SECTIONS.map(([kind]) => [kind, []]));
  for (const operation of operations) sections.get(sectionOf(operation)).push(operation);
  return html`${SECTIONS.map(([kind, title]) => section(board, kind, title, sections.get(kind), now))}
    ${board.cursor
      ? html`<button class="more" @click=${() => board.readMoreOperations()}>Older operations</button>`
      : nothing}`;
}

function sectionOf({ status, children }) {
  if (children.failed || kindOf(status) === "failed") return "failed";
  return children.running || children.pending || kindOf(status) !== "completed" ? "running" : "completed";
}

function section(board, kind, title, operations, now) {
  if (!operations.length) return nothing;
  return html`<section class="operations ${kind}" aria-labelledby="section-${kind}">
    <h2 id="section-${kind}">${title} <span class="number">${count(operations.length)}</span></h2>
    <ul>
      ${repeat(operations, (one) => one.parent_id, (one) => operationItem(board, one, now))}
    </ul>
  </section>`;
}

function operationItem(board, operation, now) {
  const { parent_id: id, children } = operation;
  const selected = board.selected === id;
  return html`<li>
    <a class="operation" href="#/jobs/${id}" data-id=${id} aria-current=${selected ? "true" : "false"}>
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
          >${children.failed ? html`<b class="failed">${count(children.failed)} failed</b> of ` : nothing}${counted(
            children.total,
            "child",
            "children",
          )}${openOf(children)}</span
        >
        <span>${operation.wall_time_seconds === null ? nothing : `in ${duration(operation.wall_time_seconds)}`}</span>
      </span>
    </a>
  </li>`;
}

function openOf({ running, pending }) {
  const words = countsInWords({ running, pending });
  return words ? ` · ${words}` : "";
}

// Figures.

export function figures(board) {
  const { stats } = board;
  if (!stats) return nothing;
  const figure = (name, value, about) =>
    html`<div title=${about}><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<dl class="figures" aria-label="Figures">
    ${figure("Operations", count(stats.operations), "Jobs that spawned children in this time")}
    ${figure("In the last hour", count(stats.recent), "Operations of the last hour")}
    ${figure("Children", count(stats.children), "Jobs that were spawned")}
    ${figure("Success", rate(stats.success_rate), "Completed children among those that have ended")}
    ${figure("Largest", count(stats.largest), "Children of the largest operation")}
    ${figure("Depth", count(stats.depth), "Levels of spawning")}
    ${figure("Median run", duration(stats.p50_seconds), "Half of the completed children ran no longer")}
    ${figure("95 % run", duration(stats.p95_seconds), "95 of 100 completed children ran no longer")}
  </dl>`;
}

export function overview(board, now) {
  return html`<div class="overview">
    ${latestFailures(board, now)} ${board.queues ? html`<h2>Queues</h2>` : nothing}
    ${queueTable(board, now)} ${workerTable(board.workers)} ${spawnTables(board.stats)}
  </div>`;
}

function latestFailures({ failures }, now) {
  if (!failures?.length) return nothing;
  return html`<h2>Latest failures</h2>
    <table class="failures">
      <tbody>
        ${repeat(
          failures,
          (job) => job.id,
          (job) => html`<tr>
            <th scope="row">
              <a href="#/jobs/${job.id}"><span class="name">${job.queue}</span> <code>${shortId(job.id)}</code></a>
            </th>
            <td class="failed">${signOf(job.status)} ${job.status}</td>
            <td class="error">${job.error ? firstLine(job.error) : ""}</td>
            <td class="right quiet">${ago(job.failed_at ?? job.completed_at ?? job.created_at, now)}</td>
          </tr>`,
        )}
      </tbody>
    </table>`;
}

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
          <th class="right">Jobs a minute</th>
          <th class="right">Heard of</th>
        </tr>
      </thead>
      <tbody>
        ${repeat(workers, (worker) => worker.id, workerRow)}
      </tbody>
    </table>`;
}

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

function spawnTables(stats) {
  if (!stats) return nothing;
  const byQueue = spawnTable("Spawned by queue", "Queue", stats.by_queue);
  // Where nobody names handlers, they go by their queues.
  const alike = JSON.stringify(stats.by_queue) === JSON.stringify(stats.by_handler);
  return html`${byQueue} ${alike ? nothing : spawnTable("Spawned by handler", "Handler", stats.by_handler)}`;
}

function queueTable(board, now) {
  if (!board.queues) return nothing;
  if (!board.queues.length) return html`<p class="quiet">No queue has a job yet.</p>`;
  const rows = repeat(board.queues, (queue) => queue.queue, (queue) => queueRow(board, queue, now));
  return html`<table>
    <thead>
      <tr>
        <th>Queue</th>
        <th class="wide">Jobs</th>
        <th class="right">Failed</th>
        <th class="right">Running</th>
        <th class="right">Pending</th>
        <th class="right">Completed</th>
        <th class="right">Oldest pending</th>
        <th><span class="hidden">Actions</span></th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function queueRow(board, queue, now) {
  const counts = byKind(queue);
  return html`<tr data-queue=${queue.queue}>
    <th scope="row"><span class="name">${queue.queue}</span> ${pauseMark(queue, now)}</th>
    <td>${bar(counts, `Jobs of ${queue.queue}`)}</td>
    <td class="right ${counts.failed ? "failed" : "quiet"}">${count(counts.failed)}</td>
    <td class="right ${counts.running ? "" : "quiet"}">${count(counts.running)}</td>
    <td class="right ${counts.pending ? "" : "quiet"}">${count(counts.pending)}</td>
    <td class="right">${count(counts.completed)}</td>
    <td class="right quiet">${duration(queue.oldest_pending_seconds)}</td>
    <td class="right">${board.readOnly ? nothing : pauseButton(board, queue)}</td>
  </tr>`;
}

function pauseMark(queue, now) {
  if (!queue.paused) return nothing;
  const reason = queue.paused_reason ? `: ${queue.paused_reason}` : "";
  const about = `${ago(queue.paused_at, now)} by ${queue.paused_by ?? "somebody"}${reason}`;
  return html`<span class="badge paused" title=${about}>paused${reason}</span>`;
}

function byKind({ total, by_status: statuses }) {
  const counts = { total, completed: 0, failed: 0, running: 0, pending: 0 };
  for (const [status, jobs] of Object.entries(statuses)) {
    const kind = kindOf(status);
    if (kind in counts) counts[kind] += jobs;
  }
  return counts;
}

function pauseButton(board, { queue, paused }) {
  const change = paused
    ? {
        title: `Resume ${queue}?`,
        text: "Workers take jobs from it again.",
        yes: "Resume",
        act: () => board.client.resumeQueue(queue),
        done: `${queue} is resumed.`,
      }
    : {
        title: `Pause ${queue}?`,
        text: "Workers finish what they run and take nothing more from it until it is resumed.",
        yes: "Pause",
        reason: true,
        act: (reason) => board.client.pauseQueue(queue, reason || null),
        done: `${queue} is paused.`,
      };
  return html`<button @click=${() => board.confirm(change)}>${change.yes}</button>`;
}

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
        ${groups.map(
          (group) => html`<tr>
            <th scope="row" class="name">${group.name ?? "–"}</th>
            <td class="right">${count(group.operations)}</td>
            <td class="right">${count(group.children)}</td>
            <td class="right">${group.average === null ? "–" : Math.round(group.average * 10) / 10}</td>
            <td class="right">${count(group.largest)}</td>
            <td class="right ${group.success_rate !== null && group.success_rate < 1 ? "failed" : ""}">
              ${rate(group.success_rate)}
            </td>
          </tr>`,
        )}
      </tbody>
    </table>`;
}
