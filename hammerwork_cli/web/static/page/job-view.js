import { html, nothing } from "./template.js";
import { bar } from "./bar.js";
import { ago, count, countsInWords, duration, ENDED, FAILED, kindOf, localTime, runTime, shortId, signOf } from "./words.js";

/** The most characters of a payload or result that are drawn. */
const LONG = 20000;

export function jobPane(board, now) {
  const { job } = board;
  if (!job) return html`<p class="quiet pad">${board.missing || board.trouble ? "" : "Reading …"}</p>`;
  if (board.gone) return html`<p class="failed pad" role="alert">The job ${shortId(job.id)} is not there any more.</p>`;
  return html`<div class="job-pane">
    <h2>
      <span class="sign ${kindOf(job.status)}">${signOf(job.status)}</span>
      <span class="name">${job.queue}</span>
      <span class="${kindOf(job.status)} right">${job.status}</span>
    </h2>
    <p class="id"><code>${job.id}</code> <button aria-label="Copy the id" @click=${() => board.copy(job.id, "Copied.")}>Copy</button></p>
    ${actions(board, job)}
    ${job.error ? html`<h3>Error</h3><pre class="error">${job.error}</pre>` : nothing}
    ${times(job, now)} ${family(job)} ${json("Payload", job.payload)}
    ${job.result === null ? nothing : json("Result", job.result)}
  </div>`;
}

function actions(board, job) {
  const here = board.selected === job.id;
  const root = here ? nothing : html`<a class="button" href="#/jobs/${job.id}">Open as root</a>`;
  const changes = board.readOnly
    ? nothing
    : html`${retry(board, job)} ${cancel(board, job)} ${job.children.total ? below(board, job) : nothing}`;
  return html`<p class="actions">${changes} ${root}</p>`;
}

function below(board, job) {
  const name = `${job.queue} ${shortId(job.id)}`;
  const retrying = {
    title: `Retry what failed below ${name}?`,
    yes: "Retry them",
    none: "Nothing has failed there.",
    act: (how) => board.client.retryJob(job.id, how),
  };
  const cancelling = {
    title: `Cancel what waits below ${name}?`,
    yes: "Cancel them",
    none: "Nothing waits there.",
    act: (how) => board.client.cancelJob(job.id, how),
  };
  return html`<button @click=${() => board.confirmBelow(job, retrying)}>Retry failed below</button>
    <button @click=${() => board.confirmBelow(job, cancelling)}>Cancel waiting below</button>`;
}

function retry(board, job) {
  if (!FAILED.has(job.status) || job.in_archive) return nothing;
  const change = {
    title: `Retry ${job.queue} ${shortId(job.id)}?`,
    text: "It becomes pending again with all its attempts, and a worker runs it.",
    yes: "Retry",
    act: () => board.client.retryJob(job.id),
    done: `${shortId(job.id)} will run again.`,
  };
  return html`<button @click=${() => board.confirm(change)}>Retry</button>`;
}

function cancel(board, job) {
  if (ENDED.has(job.status) || job.status === "Running") return nothing;
  const change = {
    title: `Cancel ${job.queue} ${shortId(job.id)}?`,
    text: "It becomes failed, and what depends on it fails with it.",
    yes: "Cancel the job",
    act: () => board.client.cancelJob(job.id),
    done: `${shortId(job.id)} is cancelled.`,
  };
  return html`<button @click=${() => board.confirm(change)}>Cancel</button>`;
}

function times(job, now) {
  const fact = (name, value, about) => (value ? html`<dt>${name}</dt><dd title=${about ?? nothing}>${value}</dd>` : nothing);
  const instant = (name, value) => fact(name, value && ago(value, now), localTime(value));
  const ran = runTime(job, now);
  return html`<dl class="facts">
    ${fact("Attempts", `${job.attempts} of ${job.max_attempts}`)} ${fact("Priority", job.priority)}
    ${instant("Created", job.created_at)}
    ${ENDED.has(job.status) || job.status === "Running" ? nothing : instant("Due", job.scheduled_at)}
    ${instant("Started", job.started_at)} ${instant("Completed", job.completed_at)}
    ${instant("Failed", job.failed_at)} ${fact(job.status === "Running" ? "Runs for" : "Ran for", ran === null ? null : duration(ran))}
    ${fact("Operation", job.operation_id)} ${fact("Handler", job.spawn_config?.handler)}
    ${fact("Workflow", job.workflow_name ?? job.workflow_id)}
    ${fact("Depends on", job.depends_on.length ? job.dependency_status : null)}
    ${instant("Archived", job.archived_at)}
  </dl>`;
}

function family({ parents, children }) {
  return html`${parents.length
    ? html`<h3>${parents.length === 1 ? "Parent" : `Parents (${count(parents.length)})`}</h3>
        <ul class="relatives">
          ${parents.slice(0, 20).map(relative)}
        </ul>`
    : nothing}
  ${children.total
    ? html`<h3>Children <span class="number">${count(children.total)}</span></h3>
        ${bar(children)}
        <p class="quiet">${countsInWords(children)}</p>`
    : nothing}`;
}

function relative({ id, queue, status }) {
  if (status === null) return html`<li><code>${shortId(id)}</code> <span class="quiet">is nowhere</span></li>`;
  return html`<li>
    <a href="#/jobs/${id}"
      ><span class="sign ${kindOf(status)}">${signOf(status)}</span> ${queue} <code>${shortId(id)}</code></a
    >
  </li>`;
}

function json(title, value) {
  if (value === undefined) return nothing;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const cut = text.length > LONG;
  return html`<h3>${title}</h3>
    <pre>${cut ? text.slice(0, LONG) : text}</pre>
    ${cut ? html`<p class="quiet">… ${count(text.length - LONG)} characters more</p>` : nothing}`;
}
