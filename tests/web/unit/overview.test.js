import assert from "node:assert/strict";
import { test } from "node:test";
import { failureGroups } from "../../../hammerwork_cli/web/static/page/failures.js";
import { worstFirst } from "../../../hammerwork_cli/web/static/page/queues.js";
import { job } from "./making.js";

/** @import { Queue } from "../../../hammerwork_cli/web/static/client.js" */

test("failed jobs that differ in numbers alone are one group, as new as its newest job", () => {
  const refused = (/** @type {number} */ number) =>
    job(`mail ${number}`, { queue: "mail", status: "Dead", error: `refused by 10.0.0.${number}\nat line ${number}` });
  const groups = failureGroups([refused(3), job("other", { queue: "mail", status: "Dead", error: "torn" }), refused(2), refused(1)]);
  assert.deepEqual(groups.map(({ newest, jobs }) => [newest.id, jobs]), [["mail 3", 3], ["other", 1]]);
  const apart = failureGroups([refused(1), { ...refused(2), queue: "report" }, { ...refused(3), status: "TimedOut" }]);
  assert.equal(apart.length, 3);
});

test("queues that nobody serves come first, then those with the largest share of failed jobs", () => {
  /** @param {string} name @param {Record<string, number>} statuses @param {Partial<Queue>} rest */
  const queue = (name, statuses, rest = {}) =>
    /** @type {Queue} */ ({ queue: name, by_status: statuses, total: 100, ready: 0, workers: 1, paused: false, ...rest });
  const sorted = worstFirst([
    queue("a fine one", { Completed: 100 }),
    queue("retries", { Completed: 90, Retrying: 10 }),
    queue("few of many fail", { Completed: 98, Dead: 2 }),
    queue("mail", { Completed: 75, Dead: 25 }),
    queue("paused", { Pending: 5 }, { ready: 5, workers: 0, paused: true }),
    queue("unserved", { Pending: 5 }, { ready: 5, workers: 0 }),
  ]);
  assert.deepEqual(sorted.map((one) => one.queue), ["unserved", "mail", "few of many fail", "retries", "a fine one", "paused"]);
});
