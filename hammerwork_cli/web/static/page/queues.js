// Queues in the order of their trouble.

import { countsByKind } from "./counts.js";

/** @import { Queue } from "../client.js" */

/** @param {Queue} queue */
export const countsOfQueue = (queue) => countsByKind(Object.entries(queue.by_status), queue.total);

/**
 * The share of failed jobs among those that have ended and are kept; `null` if none has.
 * @param {{failed: number, completed: number}} counts
 */
export const failedShare = ({ failed, completed }) => (failed + completed ? failed / (failed + completed) : null);

/**
 * Those with ready jobs and no worker first, then by their share of failed jobs, then by name.
 * @param {Queue[]} queues
 */
export function worstFirst(queues) {
  const ranked = queues.map((queue) => ({
    queue,
    unserved: Number(queue.ready > 0 && queue.workers === 0 && !queue.paused),
    failed: failedShare(countsOfQueue(queue)) ?? 0,
    retrying: countsOfQueue(queue).retrying,
  }));
  ranked.sort((one, other) => other.unserved - one.unserved || other.failed - one.failed || other.retrying - one.retrying);
  return ranked.map(({ queue }) => queue);
}
