import assert from "node:assert/strict";
import { test } from "node:test";
import { countsByKind, sectionOf, share } from "../../../hammerwork_cli/web/static/page/counts.js";

test("jobs are counted by kind, and unknown ones only in the total", () => {
  const counts = countsByKind(Object.entries({ Dead: 2, TimedOut: 1, Retrying: 4, Completed: 5, Melted: 7 }), 19);
  assert.deepEqual(counts, { total: 19, failed: 3, running: 0, pending: 4, completed: 5 });
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
  const counts = { total: 3, completed: 1, failed: 0, running: 0, pending: 0 };
  assert.equal(sectionOf({ status: "Completed", children: { ...counts, failed: 1, running: 1 } }), "failed");
  assert.equal(sectionOf({ status: "Dead", children: counts }), "failed");
  assert.equal(sectionOf({ status: "Completed", children: { ...counts, pending: 1 } }), "running");
  assert.equal(sectionOf({ status: "Running", children: counts }), "running");
  assert.equal(sectionOf({ status: "Archived", children: counts }), "completed");
});
