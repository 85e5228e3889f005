import assert from "node:assert/strict";
import { test } from "node:test";
import { indented, memberOf, valueOf } from "../../../hammerwork_cli/web/static/page/json.js";

/** @import { Job } from "../../../hammerwork_cli/web/static/client.js" */

/** @param {string} source */
const jobFrom = (source) => /** @type {Job} */ (Object.defineProperty(JSON.parse(source), "source", { value: source }));

test("numbers are drawn as the server wrote them", () => {
  const job = jobFrom('{"id":"1","payload":{"big":9007199254740993,"one":1.0,"list":[1e400,-0.0]},"result":12345678901234567890}');
  const drawn = '{\n  "big": 9007199254740993,\n  "one": 1.0,\n  "list": [\n    1e400,\n    -0.0\n  ]\n}';
  assert.equal(valueOf(job, "payload"), drawn);
  assert.equal(valueOf(job, "result"), "12345678901234567890");
});

test("a string stays as it is, and without the text the value is drawn", () => {
  assert.equal(valueOf(jobFrom('{"payload":"not { JSON"}'), "payload"), "not { JSON");
  assert.equal(valueOf(/** @type {Job} */ (/** @type {unknown} */ ({ payload: { to: [1] } })), "payload"), '{\n  "to": [\n    1\n  ]\n}');
});

test("text is indented as JSON.stringify does", () => {
  const values = [null, true, "a", [], {}, [[], {}], { a: { b: [1, { c: "d" }] }, e: "" }, ['"', "\\", "{[,:]}", "é\n\u2028"], { "a:b": [","] }];
  for (const value of values) {
    assert.equal(indented(JSON.stringify(value)), JSON.stringify(value, null, 2));
    assert.equal(indented(JSON.stringify(value, null, 1)), JSON.stringify(value, null, 2));
  }
  assert.equal(indented('"\\u00e9"'), '"é"');
});

test("a member is found at the top alone, whatever the values before it hold", () => {
  const text = '{"error": "\\"payload\\": 1, {", "spawns": [{"payload": 2}], "payload" : [3, {"payload": 4}] , "result": null}';
  assert.equal(memberOf(text, "payload"), '[3, {"payload": 4}]');
  assert.equal(memberOf(text, "result"), "null");
  assert.equal(memberOf(text, "missing"), null);
});

test("a long string does not exhaust the stack", () => {
  const long = JSON.stringify({ payload: 'x\\"'.repeat(1_000_000) });
  assert.equal(memberOf(long, "payload")?.length, long.length - '{"payload":}'.length);
});
