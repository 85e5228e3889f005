// How values are said. Everything here returns plain text.

export const FAILED = new Set(["Failed", "Dead", "TimedOut"]);
export const WAITING = new Set(["Pending", "Retrying"]);
export const ENDED = new Set(["Completed", "Archived", ...FAILED]);

/** The class of a status: what it is coloured and sorted by. */
export function kindOf(status) {
  if (FAILED.has(status)) return "failed";
  if (status === "Running") return "running";
  if (WAITING.has(status)) return "pending";
  return ENDED.has(status) ? "completed" : "unknown";
}

export const URGENCY = { failed: 0, running: 1, pending: 2, unknown: 3, completed: 4 };

const SIGNS = { failed: "✕", running: "●", pending: "○", completed: "✓", unknown: "?" };

/** A sign for those who do not see the colour. */
export const signOf = (status) => SIGNS[kindOf(status)];

export const shortId = (id) => id.slice(0, 8);

const number = new Intl.NumberFormat("en");

export const count = (value) => number.format(value);

/** "1 job", "2,000 jobs". */
export const counted = (value, noun, plural = `${noun}s`) => `${count(value)} ${value === 1 ? noun : plural}`;

export const rate = (value) => (value === null ? "–" : `${Math.floor(value * 1000) / 10} %`);

/** "5 completed, 1 running", failures first, nothing that is not there. */
export function countsInWords(counts) {
  const present = ["failed", "running", "pending", "completed"].filter((kind) => counts[kind]);
  return present.map((kind) => `${count(counts[kind])} ${kind}`).join(", ");
}

/** "12 ms", "7.5 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  if (whole < 86400) return pair(whole, 3600, "h", 60, "min");
  return pair(whole, 86400, "d", 3600, "h");
}

function pair(seconds, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
}

/** "just now", "4 min ago", "in 3 h". */
export function ago(instant, now) {
  if (!instant) return "–";
  const seconds = (now - Date.parse(instant)) / 1000;
  if (Number.isNaN(seconds)) return "–";
  if (Math.abs(seconds) < 5) return "just now";
  const length = rounded(Math.abs(seconds));
  return seconds < 0 ? `in ${length}` : `${length} ago`;
}

function rounded(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

const moments = new Intl.DateTimeFormat("sv", { dateStyle: "short", timeStyle: "medium" });

/** The local time, to the second. */
export const localTime = (instant) => (instant ? moments.format(new Date(instant)) : "–");

/** How long its last run took, or takes: seconds; `null` when it has not run. */
export function runTime(job, now) {
  const end = job.completed_at ?? job.failed_at;
  if (!job.started_at || !(end || job.status === "Running")) return null;
  const until = job.status === "Running" ? now : Date.parse(end);
  return Math.max(0, (until - Date.parse(job.started_at)) / 1000);
}

/** The first line of an error. */
export const firstLine = (text) => text.trim().split("\n", 1)[0];
