import assert from "node:assert/strict";
import { test } from "node:test";
import { countsByKind, countsOf, sectionOf, sectionsOf, share, worstStatus } from "../../../hammerwork_cli/web/static/page/counts.js";

test("jobs are counted by kind, and unknown ones only in the total", () => {
  const counts = countsByKind(Object.entries({ Dead: 2, TimedOut: 1, Retrying: 4, Completed: 5, Melted: 7 }), 19);
  assert.deepEqual(counts, { total: 19, failed: 3, running: 0, pending: 4, completed: 5, retrying: 4, cancelled: 0 });
});

test("a small part of a bar is visible, and an incomplete one never looks complete", () => {
  assert.equal(share(0, 100), 0);
  assert.equal(share(1, 0), 0);
  assert.equal(share(1, 100000), 1.5);
  assert.equal(share(62, 100), 62);
  assert.equal(share(99999, 100000), 98.5);
  assert.equal(share(8, 8), 100);
});

test("an operation with a failure is a failed one, whatever else runs", () => {
  const counts = { total: 3, completed: 1, failed: 0, running: 0, pending: 0, retrying: 0, cancelled: 0 };
  assert.equal(sectionOf({ status: "Completed", children: { ...counts, failed: 1, running: 1 } }), "failed");
  assert.equal(sectionOf({ status: "Dead", children: counts }), "failed");
  assert.equal(sectionOf({ status: "Completed", children: { ...counts, pending: 1 } }), "unfinished");
  assert.equal(sectionOf({ status: "Running", children: counts }), "unfinished");
  assert.equal(sectionOf({ status: "Archived", children: counts }), "completed");
});

const none = { total: 3, completed: 3, failed: 0, running: 0, pending: 0, retrying: 0, cancelled: 0 };

test("a tree with a deeper failure or running job is not completed", () => {
  const tree = { ...none, total: 40, completed: 38, failed: 2, more: false };
  assert.equal(sectionOf({ status: "Completed", children: none, tree }), "failed");
  assert.equal(sectionOf({ status: "Completed", children: none, tree: { ...tree, failed: 0, running: 1 } }), "unfinished");
  assert.equal(sectionOf({ status: "Completed", children: none, failed_below: 1 }), "failed");
});

test("counts are those of the whole tree, or say that there are more", () => {
  const tree = { ...none, total: 40, completed: 38, failed: 2, more: false };
  assert.deepEqual(countsOf({ status: "Completed", children: none, tree, failed_below: 5 }), tree);
  assert.deepEqual(countsOf({ status: "Completed", children: none }), { ...none, more: false });
  const large = countsOf({ status: "Completed", children: none, tree: { ...none, more: true }, failed_below: 1200 });
  assert.deepEqual([large.failed, large.total, large.more], [1200, 1203, true]);
});

test("a tree that was counted to its end is never shown by a part of it", () => {
  const whole = { ...none, total: 110_100, completed: 107_898, failed: 2202, more: false };
  const operation = { status: "Completed", children: none, tree: { ...none, more: true }, failed_below: 317 };
  assert.deepEqual(countsOf(operation, whole), whole);
  assert.equal(countsOf(operation, { ...whole, more: true }).failed, 317);
});

test("failures stand in the order of their list, with the fresher counts of the other list", () => {
  const one = { parent_id: "1", status: "Completed", children: none, tree: { ...none, failed: 1, more: false } };
  const mended = { ...one, parent_id: "2", tree: { ...none, more: false } };
  const other = { ...one, parent_id: "3" };
  const fine = { ...mended, parent_id: "4" };
  const { failed, completed } = sectionsOf([other, { ...one, parent_id: "2" }, one], [fine, mended, one]);
  assert.deepEqual(failed.map((operation) => operation.parent_id), ["3", "1"]);
  assert.deepEqual(completed.map((operation) => operation.parent_id), ["2", "4"]);
});

test("the sign of a tree is that of its worst job", () => {
  const signs = [[0, 0, 0], [0, 0, 1], [0, 2, 1], [1, 2, 1]].map(([failed, running, pending]) => worstStatus("Completed", { failed, running, pending }));
  assert.deepEqual(signs, ["Completed", "Pending", "Running", "Failed"]);
  assert.equal(worstStatus("Dead", { failed: 1, running: 0, pending: 0 }), "Dead");
  assert.equal(worstStatus("Running", { failed: 0, running: 0, pending: 1 }), "Running");
});
