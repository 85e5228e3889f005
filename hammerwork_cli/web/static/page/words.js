// Formats values as plain text.

/** @import { Instant, JobNode } from "../client.js" */

/** @param {string} id */
export const shortId = (id) => id.slice(0, 8);

const number = new Intl.NumberFormat("en");

/** @param {number} value */
export const count = (value) => number.format(value);

/**
 * "1 job", "2,000 jobs".
 * @param {number} value
 * @param {string} noun
 */
export const counted = (value, noun, plural = `${noun}s`) => `${count(value)} ${value === 1 ? noun : plural}`;

/**
 * "98.2 %". Rounded as the commands do: only exact rates read 0 % and 100 %.
 * @param {number | null} value
 */
export const rate = (value) => {
  if (value === null) return "–";
  if (value === 0 || value === 1) return `${value * 100} %`;
  return `${Math.min(Math.max(Math.round(value * 1000) / 10, 0.1), 99.9).toFixed(1)} %`;
};

const KINDS = /** @type {const} */ (["failed", "retrying", "running", "pending", "completed", "cancelled"]);

/**
 * "2 failed, 5 completed": failures first, without zeros. Retrying jobs are not among the pending ones here.
 * @param {Partial<Record<typeof KINDS[number], number>>} counts
 */
export function countsInWords(counts) {
  const apart = { ...counts, pending: (counts.pending ?? 0) - (counts.retrying ?? 0) };
  return KINDS.flatMap((kind) => (apart[kind] ? [`${count(apart[kind])} ${kind}`] : [])).join(", ");
}

/**
 * "12 ms", "7.5 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  if (whole < 86400) return pair(whole, 3600, "h", 60, "min");
  return pair(whole, 86400, "d", 3600, "h");
}

/**
 * @param {number} seconds
 * @param {number} large
 * @param {string} largeUnit
 * @param {number} small
 * @param {string} smallUnit
 */
function pair(seconds, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
}

/**
 * "just now", "4 min ago", "in 3 h".
 * @param {Instant | null | undefined} instant
 * @param {number} now
 */
export function ago(instant, now) {
  if (!instant) return "–";
  const seconds = (now - Date.parse(instant)) / 1000;
  if (Number.isNaN(seconds)) return "–";
  if (Math.abs(seconds) < 5) return "just now";
  const length = rounded(Math.abs(seconds));
  return seconds < 0 ? `in ${length}` : `${length} ago`;
}

/** @param {number} seconds */
function rounded(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

const timestamps = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });

/**
 * The local time, to the second.
 * @param {Instant | null | undefined} instant
 */
export const localTime = (instant) => (instant ? timestamps.format(new Date(instant)) : "–");

const times = new Intl.DateTimeFormat("sv", { timeStyle: "medium" });

/**
 * The local time of day, to the second.
 * @param {number} at
 */
export const timeOfDay = (at) => times.format(new Date(at));

/**
 * The seconds that the last attempt took or has taken so far; `null` for a job that has not started.
 * @param {Pick<JobNode, "status" | "started_at" | "run_started_at" | "completed_at" | "failed_at">} job
 * @param {number} now
 */
export function attemptSeconds(job, now) {
  if (!job.started_at) return null;
  const end = job.completed_at ?? job.failed_at;
  if (job.status !== "Running" && !end) return null;
  const until = job.status === "Running" || !end ? now : Date.parse(end);
  return Math.max(0, (until - Date.parse(job.run_started_at ?? job.started_at)) / 1000);
}

/** @param {string} text */
export const firstLine = (text) => text.trim().split("\n", 1)[0];
