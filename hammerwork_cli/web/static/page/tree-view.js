import { html, nothing } from "./template.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { bar } from "./bar.js";
import { opens } from "./tree.js";
import { count, counted, duration, firstLine, kindOf, runTime, shortId, signOf } from "./words.js";

/** Only rows near the visible part are in the document: a tree may have 100,000. As high as page.css makes them. */
const ROW = 28;
const SPARE = 10;

export function treePane(board) {
  if (board.missing) return html`${crumbs(board)}<p class="failed pad" role="alert">${board.missing.detail}</p>`;
  return html`${crumbs(board)}
    <div
      id="tree"
      role="tree"
      tabindex="0"
      aria-label="Jobs"
      aria-activedescendant=${board.active?.id ?? nothing}
      @scroll=${board.draw}
      @keydown=${(event) => onKey(board, event)}
    >
      ${board.tree ? rowsInView(board) : nothing}
    </div>`;
}

function crumbs(board) {
  const { crumbs: above, selected } = board;
  return html`<div class="crumbs">
    <nav aria-label="Ancestors">
      <a href="#/">Overview</a>
      ${above.map((job) => html`<span>›</span><a href="#/jobs/${job.id}">${job.queue ?? "?"} <code>${shortId(job.id)}</code></a>`)}
      ${board.tree
        ? html`<span>›</span><b>${board.tree.root.job.queue} <code>${shortId(selected)}</code></b>`
        : nothing}
    </nav>
    ${board.tree ? html`<button @click=${() => board.copyMermaid(selected)}>Copy as Mermaid</button>` : nothing}
  </div>`;
}

function rowsInView(board) {
  const { rows } = board.tree;
  const pane = document.getElementById("tree");
  const from = Math.max(0, Math.floor((pane?.scrollTop ?? 0) / ROW) - SPARE);
  const visible = Math.ceil((pane?.clientHeight || 800) / ROW) + 2 * SPARE;
  const drawn = rows.slice(from, from + visible).map((row, index) => ({ row, top: (from + index) * ROW }));
  return html`<div role="none" class="rows" .style=${`height: ${rows.length * ROW}px`}>
    ${repeat(drawn, ({ row }) => row.key, ({ row, top }) => rowLine(board, row, top))}
  </div>`;
}

const rowId = ({ kind, item }) => `row-${item.number}${kind === "more" || kind === "note" ? `-${kind}` : ""}`;

function rowLine(board, row, top) {
  const opening = (row.kind === "job" || row.kind === "group") && opens(row.item);
  return html`<div
    role="treeitem"
    id=${rowId(row)}
    class="row ${row.kind}"
    aria-level=${row.level}
    aria-posinset=${row.position}
    aria-setsize=${row.size}
    aria-selected=${board.active?.key === row.key}
    aria-expanded=${opening ? String(row.item.open) : nothing}
    .style=${`transform: translateY(${top}px); padding-left: ${8 + 18 * Math.min(row.level - 1, 30)}px`}
    @click=${() => choose(board, row)}
  >
    <span
      class="twisty"
      aria-hidden="true"
      @click=${(event) => {
        event.stopPropagation();
        if (opening) toggle(board, row);
      }}
      >${opening ? (row.item.open ? "▾" : "▸") : ""}</span
    >
    ${LINES[row.kind](row.item)}
  </div>`;
}

const LINES = {
  job: ({ job, total, reading, lists, again }) => html`<span class="sign ${kindOf(job.status)}">${signOf(job.status)}</span>
    <span class="name" title=${job.queue}>${job.queue}</span>
    <code>${shortId(job.id)}</code>
    <span class="status ${kindOf(job.status)}">${job.status}</span>
    <span class="grow cut ${job.error ? "failed" : "quiet"}" title=${job.error ?? nothing}
      >${job.error ? firstLine(job.error) : again ? "stands above already" : (job.operation_id ?? "")}</span
    >
    ${total ? below(job.child_counts, total) : nothing}
    <span class="time ${job.status === "Running" ? "running" : "quiet"}"
      >${reading && !lists.length ? "…" : duration(runTime(job, Date.now()))}</span
    >`,

  group: ({ queue, status, total, reading, jobs }) => html`<span class="sign ${kindOf(status)}">${signOf(status)}</span>
    <span class="name" title=${queue}>${queue}</span>
    <span class="number">×${count(total)}</span>
    <span class="status ${kindOf(status)}">${status}</span>
    <span class="grow quiet">${reading && !jobs.length ? "…" : ""}</span>`,

  more: (list) => html`<span class="link">${count(Math.max(list.total - list.jobs.length, 1))} more …</span>
    <span class="quiet">${list.wantsMore ? "Reading …" : ""}</span>`,

  note: ({ error }) => html`<span class="failed">${error.detail ?? String(error)}</span>`,
};

function below(counts, total) {
  const all = counted(total, "child", "children");
  if (!counts) return html`<span class="quiet">${all}</span>`;
  const open = counts.running + counts.pending;
  return html`<span class="quiet cut below"
      >${counts.failed ? html`<b class="failed">${count(counts.failed)} failed</b> of ` : nothing}${all}${open
        ? `, ${count(open)} open`
        : ""}</span
    >
    ${bar(counts)}`;
}

// What a person does.

function choose(board, row) {
  board.activate(row, rowId(row), board.tree.rows.indexOf(row));
  if (row.kind === "more") board.tree.readMore(row.item);
  else if (row.kind === "group") toggle(board, row);
}

function toggle(board, { item }) {
  if (item.open) board.tree.close(item);
  else board.tree.open(item);
}

function onKey(board, event) {
  if (!board.tree || event.ctrlKey || event.metaKey || event.altKey) return;
  const { rows } = board.tree;
  const found = rows.findIndex((row) => row.key === board.active?.key);
  // A job that went to another group leaves its place to the next one.
  const at = found < 0 ? Math.min(board.active?.at ?? 0, rows.length - 1) : found;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  const goal = act(board, rows, at, Math.floor(event.currentTarget.clientHeight / ROW) - 1);
  if (goal !== undefined) moveTo(board, rows, Math.min(Math.max(goal, 0), rows.length - 1));
}

const KEYS = {
  ArrowDown: (_board, _rows, at) => at + 1,
  ArrowUp: (_board, _rows, at) => at - 1,
  PageDown: (_board, _rows, at, page) => at + page,
  PageUp: (_board, _rows, at, page) => at - page,
  Home: () => 0,
  End: (_board, rows) => rows.length - 1,
  ArrowRight: (board, rows, at) => {
    const { kind, item } = rows[at];
    if ((kind !== "job" && kind !== "group") || !opens(item)) return undefined;
    if (item.open) return at + 1;
    board.tree.open(item);
    return undefined;
  },
  ArrowLeft: (board, rows, at) => {
    const { kind, item, level } = rows[at];
    if ((kind === "job" || kind === "group") && item.open && opens(item)) {
      board.tree.close(item);
      return undefined;
    }
    return rows.findLastIndex((row, index) => index < at && row.level < level);
  },
  Enter: (board, rows, at) => {
    const row = rows[at];
    if (row.kind === "more") board.tree.readMore(row.item);
    else if (row.kind !== "note" && opens(row.item)) toggle(board, row);
  },
};
KEYS[" "] = KEYS.Enter;

function moveTo(board, rows, goal) {
  board.activate(rows[goal], rowId(rows[goal]), goal);
  const pane = document.getElementById("tree");
  const top = goal * ROW;
  if (top < pane.scrollTop) pane.scrollTop = top;
  else if (top + ROW > pane.scrollTop + pane.clientHeight) pane.scrollTop = top + ROW - pane.clientHeight;
}
