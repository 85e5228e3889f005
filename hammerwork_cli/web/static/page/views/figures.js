// The statistics of spawning in the selected time window.

import { countsOfQueue } from "../queues.js";
import { html, nothing } from "../template.js";
import { count, duration, rate } from "../words.js";
import { isOld, note } from "./freshness.js";

/** @import { Overview } from "../state/overview.js" */

/** @type {[hours: number, name: string][]} */
const WINDOWS = [
  [1, "1 hour"],
  [24, "24 hours"],
  [168, "7 days"],
  [720, "30 days"],
];

/**
 * @param {Overview} overview
 * @param {number} now
 */
export function figures(overview, now) {
  return html`<div class="figures">
    ${jobsInAll(overview)} <span class="grow">${numbers(overview, now)}</span> ${windowFilter(overview)}
  </div>`;
}

/**
 * The jobs of all queues or of the chosen one, whatever made them.
 * @param {Overview} overview
 */
function jobsInAll({ queue, queues }) {
  const chosen = (queues.value ?? []).filter((one) => (queue ? one.queue === queue : !one.internal));
  if (!chosen.length) return nothing;
  const all = chosen.map(countsOfQueue);
  const [failed, completed] = [sum(all.map((one) => one.failed)), sum(all.map((one) => one.completed))];
  const where = queue ? `Jobs of ${queue}` : "Jobs of all queues";
  return html`<dl aria-label="Jobs">
    ${figure("Failed jobs", `${count(failed)} of ${count(failed + completed)}`, `${where} that have ended and are kept`, failed)}
  </dl>`;
}

/** @param {number[]} all */
const sum = (all) => all.reduce((total, one) => total + one, 0);

/** @param {Overview} overview */
function windowFilter(overview) {
  /** @param {Event} event */
  const choose = (event) => overview.chooseHours(Number(/** @type {HTMLSelectElement} */ (event.target).value));
  return html`<select aria-label="Time window of the statistics" @change=${choose}>
    ${WINDOWS.map(([hours, name]) => html`<option value=${hours} ?selected=${hours === overview.hours}>${name}</option>`)}
  </select>`;
}

/**
 * @param {Overview} overview
 * @param {number} now
 */
function numbers({ stats: part }, now) {
  const stats = part.value;
  if (!stats) return note(part, now);
  return html`<dl aria-label="Statistics">
    ${figure("Operations", count(stats.operations), "Jobs that spawned children")}
    ${figure("Last hour", count(stats.recent), "Operations in the last hour")}
    ${figure("Children", count(stats.children), "Spawned jobs")}
    ${figure("Children completed", rate(stats.success_rate), "Completed children as a share of those that have ended: of no other jobs")}
    ${figure("Largest", count(stats.largest), "Children of the largest operation")}
    ${figure("Depth", count(stats.depth), "Levels of spawning")}
    ${figure("Median", duration(stats.p50_seconds), "Median duration of the completed children")}
    ${figure("95th percentile", duration(stats.p95_seconds), "95 % of the completed children took at most this long")}
    ${isOld(part, now) ? html`<div class="age">${note(part, now)}</div>` : nothing}
  </dl>`;
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} about
 * @param {number} [failed] the number of failed jobs that it is about
 */
const figure = (name, value, about, failed = 0) =>
  html`<div title=${about}><dt>${name}</dt><dd class=${failed ? "failed" : ""}>${value}</dd></div>`;
