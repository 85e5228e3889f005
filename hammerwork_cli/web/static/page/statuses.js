// The statuses of jobs, and the kinds that the page groups, sorts and colours them by.

/** @import { Status } from "../client.js" */
/** @typedef {"failed" | "running" | "pending" | "completed" | "unknown"} Kind */

// `make reference` writes the words of these sets.
/** @type {ReadonlySet<Status>} */
export const FAILED = new Set(["Failed", "Dead", "TimedOut"]);
/** @type {ReadonlySet<Status>} */
export const WAITING = new Set(["Pending", "Retrying"]);
/** @type {ReadonlySet<Status>} */
export const FINISHED = new Set(["Completed", "Failed", "Dead", "TimedOut", "Archived", "Cancelled"]);

/**
 * @param {Status} status
 * @returns {Kind}
 */
export function kindOf(status) {
  if (FAILED.has(status)) return "failed";
  if (status === "Running") return "running";
  if (WAITING.has(status)) return "pending";
  return FINISHED.has(status) ? "completed" : "unknown";
}

/** @type {Record<Kind, string>} */
const SIGNS = { failed: "✕", running: "●", pending: "○", completed: "✓", unknown: "?" };

/**
 * A sign beside the colour, for people who cannot tell the colours apart.
 * @param {Status} status
 */
export const signOf = (status) => (status === "Cancelled" ? "⊘" : SIGNS[kindOf(status)]);
