// Draws JSON from its text: in JavaScript, 9007199254740993 becomes 9007199254740992, and 1.0 becomes 1.

/** @import { Job } from "../client.js" */

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

const OPENING = new Set(["{", "["]);
const CLOSING = new Set(["}", "]"]);

/**
 * The payload or result of a job, indented; a string stays as it is.
 * @param {Job} job
 * @param {"payload" | "result"} name
 */
export function valueOf(job, name) {
  const value = job[name];
  if (typeof value === "string") return value;
  return indented((job.source && memberOf(job.source, name)) ?? JSON.stringify(value));
}

/**
 * The text of a member of an object; `null` when it has no such member.
 * @param {string} text the JSON of the object
 * @param {string} name
 */
export function memberOf(text, name) {
  const key = JSON.stringify(name);
  let depth = 0;
  let start = -1;
  let before = "";
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (CLOSING.has(token)) depth -= 1;
    if (start >= 0 && (depth === 0 || (depth === 1 && token === ","))) return text.slice(start, index).trim();
    if (depth === 1 && start < 0 && token === ":" && before === key) start = index + 1;
    if (OPENING.has(token)) depth += 1;
    before = token;
  }
  return null;
}

/**
 * The text with a line for each member, as `JSON.stringify(value, null, 2)` writes it, and with its own numbers.
 * @param {string} text
 */
export function indented(text) {
  const parts = [];
  let depth = 0;
  let before = "";
  for (const [token] of text.matchAll(TOKEN)) {
    if (CLOSING.has(token)) depth -= 1;
    const isEmpty = OPENING.has(before) && CLOSING.has(token);
    if (!isEmpty && (OPENING.has(before) || CLOSING.has(token) || before === ",")) parts.push(`\n${"  ".repeat(depth)}`);
    if (token.startsWith('"')) parts.push(JSON.stringify(JSON.parse(token)));
    else parts.push(token === ":" ? ": " : token);
    if (OPENING.has(token)) depth += 1;
    before = token;
  }
  return parts.join("");
}
