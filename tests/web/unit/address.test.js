import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, jobIn, OVERVIEW } from "../../../hammerwork_cli/web/static/page/address.js";

const ID = "550e8400-e29b-41d4-a716-446655440000";

test("the address of a job leads back to it", () => {
  assert.equal(jobIn(addressOf(ID)), ID);
  assert.equal(jobIn(addressOf(ID.toUpperCase())), ID.toUpperCase());
});

test("any other address is the overview", () => {
  for (const hash of ["", OVERVIEW, "#/jobs/", "#/jobs/550e8400", `${addressOf(ID)}/more`, `#/queues/${ID}`]) {
    assert.equal(jobIn(hash), null);
  }
});
