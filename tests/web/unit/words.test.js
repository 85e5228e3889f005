import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ago,
  attemptSeconds,
  count,
  counted,
  countsInWords,
  duration,
  firstLine,
  localTime,
  rate,
  shortId,
} from "../../../hammerwork_cli/web/static/page/words.js";

const NOW = Date.parse("2026-03-01T12:00:00Z");
/** @param {number} seconds */
const before = (seconds) => new Date(NOW - seconds * 1000).toISOString();

test("numbers have thousands separators and agree with their noun", () => {
  assert.equal(count(1234567), "1,234,567");
  assert.equal(counted(1, "job"), "1 job");
  assert.equal(counted(2000, "job"), "2,000 jobs");
  assert.equal(counted(0, "child", "children"), "0 children");
});

test("a rate is rounded as the commands do, and only a perfect one reads 100 %", () => {
  assert.equal(rate(1), "100 %");
  assert.equal(rate(0.99999), "99.9 %");
  assert.equal(rate(0.00001), "0.1 %");
  assert.equal(rate(0.9375), "93.8 %");
  assert.equal(rate(0.9325), "93.3 %");
  assert.equal(rate(0.98), "98.0 %");
  assert.equal(rate(0), "0 %");
  assert.equal(rate(null), "–");
});

test("counts name failures first and leave zeros out", () => {
  assert.equal(countsInWords({ completed: 5, failed: 2, running: 0, pending: 1000 }), "2 failed, 1,000 pending, 5 completed");
  assert.equal(countsInWords({ completed: 0 }), "");
});

test("a duration has at most two units", () => {
  const expected = [
    [null, "–"],
    [undefined, "–"],
    [0, "0 ms"],
    [0.0124, "12 ms"],
    [7.46, "7.5 s"],
    [59.94, "59.9 s"],
    [60, "1 min"],
    [200, "3 min 20 s"],
    [3599.6, "1 h"],
    [7500, "2 h 5 min"],
    [86400, "1 d"],
    [273600, "3 d 4 h"],
  ];
  for (const [seconds, words] of expected) assert.equal(duration(/** @type {number} */ (seconds)), words);
});

test("an age has one unit, in the past and in the future", () => {
  const expected = [
    [4, "just now"],
    [-4, "just now"],
    [5, "5 s ago"],
    [59, "59 s ago"],
    [240, "4 min ago"],
    [-3 * 3600, "in 3 h"],
    [2 * 86400, "2 d ago"],
  ];
  for (const [seconds, words] of expected) assert.equal(ago(before(Number(seconds)), NOW), words);
});

test("a missing or unreadable timestamp is a dash", () => {
  assert.equal(ago(null, NOW), "–");
  assert.equal(ago("yesterday", NOW), "–");
  assert.equal(localTime(null), "–");
});

test("a local time has no fractions", () => {
  assert.match(localTime("2026-03-01T12:00:00.123456Z"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
});

test("an attempt lasts until it completed or failed, or until now while it runs", () => {
  const none = { started_at: null, run_started_at: null, completed_at: null, failed_at: null };
  assert.equal(attemptSeconds({ ...none, status: "Completed", started_at: before(90), completed_at: before(30) }, NOW), 60);
  assert.equal(attemptSeconds({ ...none, status: "Dead", started_at: before(90), failed_at: before(80) }, NOW), 10);
  assert.equal(attemptSeconds({ ...none, status: "Running", started_at: before(90) }, NOW), 90);
  assert.equal(attemptSeconds({ ...none, status: "Running", started_at: before(90), failed_at: before(100) }, NOW), 90);
  assert.equal(attemptSeconds({ ...none, status: "Running", started_at: before(-5) }, NOW), 0);
});

test("a job that has not started, or waits for its next attempt, has no duration", () => {
  const none = { started_at: null, run_started_at: null, completed_at: null, failed_at: null };
  assert.equal(attemptSeconds({ ...none, status: "Pending" }, NOW), null);
  assert.equal(attemptSeconds({ ...none, status: "Running" }, NOW), null);
  assert.equal(attemptSeconds({ ...none, status: "Retrying", started_at: before(90) }, NOW), null);
});

test("ids and errors are shortened", () => {
  assert.equal(shortId("550e8400-e29b-41d4-a716-446655440000"), "550e8400");
  assert.equal(firstLine("\n  ValueError: torn\n  at line 3"), "ValueError: torn");
});
