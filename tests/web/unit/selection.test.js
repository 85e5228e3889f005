import assert from "node:assert/strict";
import { test } from "node:test";
import { Selection } from "../../../hammerwork_cli/web/static/page/state/selection.js";
import { Session } from "../../../hammerwork_cli/web/static/page/state/session.js";
import { Toast } from "../../../hammerwork_cli/web/static/page/state/toast.js";
import { Totals } from "../../../hammerwork_cli/web/static/page/state/totals.js";
import { clientWith, draw, job, pageOf } from "./making.js";

/** @import { Job, JobNode } from "../../../hammerwork_cli/web/static/client.js" */
/** @import { Row } from "../../../hammerwork_cli/web/static/page/tree/rows.js" */

const children = { total: 0, completed: 0, failed: 0, running: 0, pending: 0, retrying: 0, cancelled: 0 };
/** @param {string} id */
const whole = (id) => /** @type {Job} */ (/** @type {unknown} */ ({ ...job(id), children }));
/** @param {string} id */
const rowOf = (id) => /** @type {Row} */ (/** @type {unknown} */ ({ kind: "job", key: id, item: { job: job(id) } }));
const ancestors = () => Promise.resolve(/** @type {(JobNode & {distance: number})[]} */ ([]));

test("the answer of a refresh about the job before does not replace the job of the active row", async () => {
  /** @type {{id: string, answer: (job: Job) => void}[]} */
  const asked = [];
  let slow = false;
  const client = clientWith({
    getJob: (id) => {
      if (!slow) return Promise.resolve(whole(id));
      return new Promise((resolve) => {
        asked.push({ id, answer: resolve });
      });
    },
    getParents: ancestors,
    getTreeCounts: () => Promise.resolve({ ...children, more: false }),
    getChildren: () => Promise.resolve(/** @type {any} */ (pageOf([]))),
  });
  const selection = new Selection(client, draw, new Session(client, draw, new Toast(draw)), new Totals(client, draw));
  await selection.select("parent");
  assert.equal(selection.job?.id, "parent");

  slow = true;
  const refreshed = selection.refresh(new Set());
  const activated = selection.activate(rowOf("child"), "row-1", 1);
  await new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
  // The answer about the parent, where one was asked for, comes last.
  asked.sort((one, other) => one.id.localeCompare(other.id));
  for (const { id, answer } of asked) answer(whole(id));
  await Promise.all([activated, refreshed]);
  assert.equal(selection.job?.id, "child");
});
