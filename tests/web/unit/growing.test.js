import assert from "node:assert/strict";
import { test } from "node:test";
import { Growing } from "../../../hammerwork_cli/web/static/page/state/growing.js";
import { draw, pageOf } from "./making.js";

/** A list of which the test changes the rows. */
function growing() {
  const rows = Array.from({ length: 400 }, (_, index) => `row ${400 - index}`);
  /** @type {number[]} */
  const limits = [];
  const list = new Growing(
    async (limit, cursor) => {
      limits.push(limit);
      const start = cursor === null ? 0 : rows.indexOf(cursor) + 1;
      const page = rows.slice(start, start + limit);
      return pageOf(page, start + limit < rows.length ? page[page.length - 1] : null);
    },
    (row) => row,
    draw,
  );
  return { limits, list, rows };
}

test("a refresh keeps the older rows that someone asked for, and puts new ones before them", async () => {
  const { limits, list, rows } = growing();
  await list.read();
  await list.readMore();
  assert.equal(list.value?.length, 100);
  rows.unshift("row 402", "row 401");
  await list.read();
  assert.deepEqual(limits, [50, 50, 100]);
  assert.equal(list.value?.length, 102);
  assert.deepEqual(list.value.slice(), rows.slice(0, 102));
  await list.readMore();
  assert.deepEqual(list.value.slice(), rows.slice(0, 152));
});

test("a refresh reads at most 200 rows again, and keeps the others", async () => {
  const { limits, list, rows } = growing();
  await list.read();
  for (let pages = 0; pages < 5; pages += 1) await list.readMore();
  rows.shift();
  await list.read();
  assert.equal(limits[limits.length - 1], 200);
  assert.deepEqual(list.value?.slice(), rows.slice(0, 299));
});

test("older rows are asked for once while they are on their way", async () => {
  const { limits, list } = growing();
  await list.read();
  const older = list.readMore();
  assert.equal(list.isReadingMore, true);
  await list.readMore();
  assert.deepEqual(limits, [50, 50]);
  await older;
  assert.equal(list.isReadingMore, false);
  assert.equal(list.value?.length, 100);
});

test("a list that nobody asked to grow shows the newest rows only", async () => {
  const { list, rows } = growing();
  await list.read();
  rows.unshift("row 401");
  await list.read();
  assert.deepEqual(list.value?.slice(), rows.slice(0, 50));
});

test("older rows that come after another choice are dropped", async () => {
  const { list } = growing();
  await list.read();
  const older = list.readMore();
  list.forget();
  await older;
  assert.equal(list.value, null);
});
