// Failed jobs that share a queue and an error, as one.

import { firstLine } from "./words.js";

/** @import { JobNode } from "../client.js" */
/** @typedef {{newest: JobNode, jobs: number}} FailureGroup */

/** What differs among errors that are the same: ids, hexadecimal and other numbers. */
const DIFFERENT = /\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b0x[0-9a-f]+\b|\d+/giu;

/**
 * Groups failed jobs by queue, status and error; the order is that of the newest job of each.
 * @param {JobNode[]} jobs the newest first
 * @returns {FailureGroup[]}
 */
export function failureGroups(jobs) {
  /** @type {Map<string, FailureGroup>} */
  const groups = new Map();
  for (const job of jobs) {
    const key = JSON.stringify([job.queue, job.status, firstLine(job.error ?? "").replace(DIFFERENT, "#")]);
    const group = groups.get(key);
    if (group) group.jobs += 1;
    else groups.set(key, { newest: job, jobs: 1 });
  }
  return [...groups.values()];
}
