import assert from "node:assert/strict";
import { test } from "node:test";
import { visible } from "../../../hammerwork_cli/web/static/page/visible.js";

test("characters that hide or reorder text are written out", () => {
  assert.equal(visible("\u202efdp.exe\x1b[2J"), String.raw`\u202efdp.exe\x1b[2J`);
  assert.equal(visible("a\u200bb\u3164c\u{e0001}"), String.raw`a\u200bb\u3164c\U000e0001`);
  assert.equal(visible("half \ud83d of a pair"), String.raw`half \ud83d of a pair`);
});

test("line breaks, tabs, other scripts and joined emoji stay", () => {
  for (const text of ["one\n\ttwo", "Grüße, 你好, שלום", "👩‍🚀 ❤️‍🔥"]) assert.equal(visible(text), text);
});

test("a joiner outside an emoji is written out", () => {
  assert.equal(visible("ad\u200dmin"), String.raw`ad\u200dmin`);
});
