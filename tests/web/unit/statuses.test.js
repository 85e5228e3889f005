import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf, signOf } from "../../../hammerwork_cli/web/static/page/statuses.js";

test("every status has a kind, and an unknown one too", () => {
  const kinds = ["Failed", "Dead", "TimedOut", "Running", "Pending", "Retrying", "Completed", "Archived", "Melted"].map(kindOf);
  const expected = ["failed", "failed", "failed", "running", "pending", "pending", "completed", "completed", "unknown"];
  assert.deepEqual(kinds, expected);
});

test("each kind has a sign of its own", () => {
  const signs = ["Dead", "Running", "Pending", "Completed", "Melted"].map(signOf);
  assert.equal(new Set(signs).size, 5);
});
