// The pane of one job: its status, actions, error, facts, relatives, payload and result.

import { addressOf } from "../address.js";
import { valueOf } from "../json.js";
import { FAILED, FINISHED, kindOf, signOf } from "../statuses.js";
import { html, nothing } from "../template.js";
import { ago, attemptSeconds, count, countsInWords, duration, localTime, rate, shortId } from "../words.js";
import { bar } from "./bar.js";

/** @import { Instant, Job, Relative } from "../../client.js" */
/** @import { Board } from "../state/board.js" */
/** @import { TreeChange } from "../state/changes.js" */
/** @import { Question } from "../state/dialogs.js" */

/** The maximum number of characters of a payload or result that are drawn. */
const LONG = 20000;
const MAX_PARENTS = 20;

/**
 * @param {Board} board
 * @param {number} now
 */
export function jobPane(board, now) {
  const { job, deleted, notFound } = board.selection;
  if (!job) return html`<p class="quiet pad">${notFound || board.session.error ? "" : "Loading …"}</p>`;
  if (deleted) return html`<p class="failed pad" role="alert">Job ${shortId(job.id)} no longer exists.</p>`;
  const copy = () => board.changes.copy(job.id, "Copied.");
  return html`<div class="job-pane">
    <h2>
      <span class="sign ${kindOf(job.status)}">${signOf(job.status)}</span>
      <span class="name">${job.queue}</span>
      <span class="${kindOf(job.status)} right">${job.status}</span>
    </h2>
    <p class="id"><code>${job.id}</code> <button aria-label="Copy the job ID" @click=${copy}>Copy</button></p>
    ${actions(board, job, now)}
    ${job.error ? html`<h3>Error</h3><pre class="error">${job.error}</pre>` : nothing}
    ${facts(job, now)} ${relatives(job)} ${json("Payload", job, "payload")}
    ${job.result === null ? nothing : json("Result", job, "result")}
  </div>`;
}

/**
 * @param {Board} board
 * @param {Job} job
 * @param {number} now
 */
function actions(board, job, now) {
  const isRoot = board.selection.id === job.id;
  const root = isRoot ? nothing : html`<a class="button" href=${addressOf(job.id)}>Open as root</a>`;
  const changes = board.session.readOnly
    ? nothing
    : html`${retry(board, job, now)} ${cancel(board, job)} ${job.children.total ? descendants(board, job) : nothing}`;
  return html`<p class="actions">${changes} ${root}</p>`;
}

/**
 * @param {Board} board
 * @param {Job} job
 */
function descendants({ changes, client }, job) {
  const name = `${job.queue} ${shortId(job.id)}`;
  /** @type {TreeChange} */
  const retrying = {
    title: `Retry the failed descendants of ${name}?`,
    yes: "Retry them",
    done: "Retried",
    none: "No descendant has failed.",
    act: (how) => client.retryJob(job.id, how),
  };
  /** @type {TreeChange} */
  const cancelling = {
    title: `Cancel the descendants of ${name} that have not started?`,
    yes: "Cancel them",
    done: "Cancelled",
    none: "All descendants have started.",
    act: (how) => client.cancelJob(job.id, how),
  };
  return html`<button @click=${() => changes.confirmPlan(retrying)}>Retry failed descendants</button>
    <button @click=${() => changes.confirmPlan(cancelling)}>Cancel descendants that have not started</button>`;
}

/**
 * @param {Board} board
 * @param {Job} job
 * @param {number} now
 */
function retry({ changes, client }, job, now) {
  if (!(FAILED.has(job.status) || job.status === "Cancelled") || job.in_archive) return nothing;
  /** @type {Question} */
  const question = {
    title: `Retry ${job.queue} ${shortId(job.id)}?`,
    text: "The job becomes Pending with 0 attempts, and a worker runs it again.",
    yes: "Retry",
    act: () => client.retryJob(job.id),
    done: `${shortId(job.id)} will run again.`,
  };
  if (!job.scheduled_at || Date.parse(job.scheduled_at) <= now)
    return html`<button @click=${() => changes.confirm(question)}>Retry</button>`;
  const later = { ...question, text: `${question.text} It is due when it was: ${localTime(job.scheduled_at)}.` };
  const atOnce = { ...question, yes: "Run now", act: () => client.retryJob(job.id, { now: true }) };
  return html`<button @click=${() => changes.confirm(later)}>Retry</button>
    <button @click=${() => changes.confirm(atOnce)}>Run now</button>`;
}

/**
 * @param {Board} board
 * @param {Job} job
 */
function cancel({ changes, client }, job) {
  if (FINISHED.has(job.status) || job.status === "Running") return nothing;
  /** @type {Question} */
  const question = {
    title: `Cancel ${job.queue} ${shortId(job.id)}?`,
    text: "The job is cancelled, and so are the jobs that depend on it.",
    yes: "Cancel the job",
    act: () => client.cancelJob(job.id),
    done: `Cancelled ${shortId(job.id)}.`,
  };
  return html`<button @click=${() => changes.confirm(question)}>Cancel</button>`;
}

/**
 * @param {Job} job
 * @param {number} now
 */
function facts(job, now) {
  /**
   * @param {string} name
   * @param {unknown} value left out when it is empty
   * @param {string} [about]
   */
  const fact = (name, value, about) => (value ? html`<dt>${name}</dt><dd title=${about ?? nothing}>${value}</dd>` : nothing);
  /**
   * @param {string} name
   * @param {Instant | null} value
   */
  const instant = (name, value) => fact(name, value && ago(value, now), localTime(value));
  const seconds = attemptSeconds(job, now);
  const running = job.status === "Running";
  return html`<dl class="facts">
    ${fact("Why it waits", job.hold_message)}
    ${fact("Attempts", `${job.attempts} of ${job.max_attempts}`)} ${fact("Priority", job.priority)}
    ${instant("Created", job.created_at)}
    ${FINISHED.has(job.status) || running ? nothing : instant("Due", job.scheduled_at)}
    ${instant("Started", job.started_at)} ${instant("Completed", job.completed_at)}
    ${fact("Progress", job.progress && `${rate(job.progress.share)} ${job.progress.text}`)}
    ${instant("Failed", job.failed_at)} ${fact(running ? "Running for" : "Duration", seconds === null ? null : duration(seconds))}
    ${fact("Operation", job.operation_id)} ${fact("Handler", job.spawn_config?.handler)}
    ${fact("Workflow", job.workflow_name ?? job.workflow_id)}
    ${fact("Dependencies", job.depends_on.length && !job.hold_message ? job.dependency_status : null)}
    ${instant("Archived", job.archived_at)}
    ${fact("Encrypted", job.is_encrypted && `${job.encryption_algorithm}, key ${job.encryption_key_id}`)}
  </dl>`;
}

/** @param {Job} job */
function relatives({ parents, children }) {
  return html`${parents.length
    ? html`<h3>${parents.length === 1 ? "Parent" : `Parents (${count(parents.length)})`}</h3>
        <ul class="relatives">
          ${parents.slice(0, MAX_PARENTS).map(relative)}
        </ul>`
    : nothing}
  ${children.total
    ? html`<h3>Children <span class="number">${count(children.total)}</span></h3>
        ${bar(children)}
        <p class="quiet">${countsInWords(children)}</p>`
    : nothing}`;
}

/** @param {Relative} relative */
function relative({ id, queue, status }) {
  if (status === null) return html`<li><code>${shortId(id)}</code> <span class="quiet">not found</span></li>`;
  return html`<li>
    <a href=${addressOf(id)}
      ><span class="sign ${kindOf(status)}">${signOf(status)}</span> ${queue} <code>${shortId(id)}</code></a
    >
  </li>`;
}

/**
 * @param {string} title
 * @param {Job} job
 * @param {"payload" | "result"} name
 */
function json(title, job, name) {
  if (job[name] === undefined) return nothing;
  const text = valueOf(job, name);
  const cut = text.length > LONG;
  return html`<h3>${title}</h3>
    <pre>${cut ? text.slice(0, LONG) : text}</pre>
    ${cut ? html`<p class="quiet">… ${count(text.length - LONG)} more characters</p>` : nothing}`;
}
