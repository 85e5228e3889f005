// The verdict: what is wrong now, as `monitor health` says it.

import { addressOf, OVERVIEW } from "../address.js";
import { html, nothing } from "../template.js";
import { counted } from "../words.js";
import { isOld, note } from "./freshness.js";

/** @import { HealthCheck, HealthLevel, HealthReport } from "../../client.js" */
/** @import { Part } from "../state/part.js" */

/** @type {Record<HealthLevel, string>} */
const SIGNS = { critical: "✖", warning: "▲", unknown: "?", healthy: "✔" };

/**
 * The checks that need somebody, the worst first.
 * @param {HealthReport} report
 */
function wrong({ checks }) {
  const those = (/** @type {HealthLevel} */ level) => checks.filter(({ status }) => status === level);
  return { critical: those("critical"), warning: those("warning") };
}

/**
 * "2 critical, 4 warnings"; "" when nothing is wrong.
 * @param {HealthReport} report
 */
function wrongInWords(report) {
  const { critical, warning } = wrong(report);
  return [critical.length && `${critical.length} critical`, warning.length && counted(warning.length, "warning")]
    .filter(Boolean)
    .join(", ");
}

/**
 * The verdict for the title of the window: "✖ 2 critical, 4 warnings"; "" when nothing is wrong or known.
 * @param {HealthReport | null} report
 */
export const verdictInTitle = (report) =>
  report && wrongInWords(report) ? `${SIGNS[report.status]} ${wrongInWords(report)}` : "";

/**
 * A line of its own while something is wrong, with every check below it.
 * @param {Part<HealthReport>} part
 * @param {number} now
 */
export function verdict(part, now) {
  const report = part.value;
  if (!report || !wrongInWords(report)) return nothing;
  const { critical, warning } = wrong(report);
  const found = [...critical, ...warning];
  return html`<section aria-label="Health"><details class="verdict ${report.status}">
    <summary>
      <b class="level">${SIGNS[report.status]} ${wrongInWords(report)}</b>
      <span class="cut">${sentence(found[0])}</span>
      ${isOld(part, now) ? html`<span class="age">${note(part, now)}</span>` : nothing}
    </summary>
    <ul>
      ${found.map(
        (check) =>
          html`<li class=${check.status}>
            <span class="sign" title=${check.status}>${SIGNS[check.status]}</span>
            <span>${linked(check)}${check.hint ? html` <code>${check.hint}</code>` : nothing}</span>
          </li>`,
      )}
    </ul>
  </details></section>`;
}

/** The checks about queues, about workers, and about jobs. */
const PLACES = {
  queue: ["unserved_queues", "paused_queues", "pending", "pending_age", "running_age", "waiting_age", "retrying", "failed", "failure_rate"],
  worker: ["workers", "lost_workers", "stalled_workers", "stopping_workers", "held_slots", "unwritten_outcomes"],
  job: ["overdue_jobs"],
};

/**
 * What a check says, as a link to the first thing that it is about where the page has it.
 * @param {HealthCheck} check
 */
function linked(check) {
  const [first] = check.about;
  if (!first) return sentence(check);
  if (PLACES.job.includes(check.check)) return html`<a href=${addressOf(first)}>${sentence(check)}</a>`;
  const kind = /** @type {const} */ (["queue", "worker"]).find((one) => PLACES[one].includes(check.check));
  if (!kind) return sentence(check);
  return html`<a href=${OVERVIEW} @click=${() => show(kind, first)}>${sentence(check)}</a>`;
}

/**
 * Goes to the row of a queue or a worker, as soon as the overview is drawn.
 * @param {"queue" | "worker"} kind
 * @param {string} name
 */
function show(kind, name) {
  setTimeout(() => {
    requestAnimationFrame(() => {
      const rows = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(`tr[data-${kind}]`));
      const row = [...rows].find((one) => one.dataset[kind] === name);
      row?.scrollIntoView({ block: "center" });
      row?.focus({ preventScroll: true });
    });
  });
}

/** @param {HealthCheck} check */
const sentence = ({ check, message }) => `${check.replaceAll("_", " ")}: ${message}`;

/**
 * The verdict in a word, beside the state of the connection.
 * @param {Part<HealthReport>} part
 * @param {number} now
 */
export function verdictInWord(part, now) {
  const report = part.value;
  if (!report || isOld(part, now)) return html`<span class="health unknown">${report ? "Health not read" : "Health …"}</span>`;
  const words = { critical: "Critical", warning: "Warnings", unknown: "Healthy", healthy: "Healthy" };
  return html`<span class="health ${report.status}">${SIGNS[report.status]} ${words[report.status]}</span>`;
}
