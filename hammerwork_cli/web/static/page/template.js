// Templates as lit-html has them, in which text is text: never markup, and without characters that nobody sees.

import { html as plain } from "../vendor/lit-html/lit-html.js";

export { nothing, render } from "../vendor/lit-html/lit-html.js";

export const html = (strings, ...values) =>
  plain(strings, ...values.map((value) => (typeof value === "string" ? visible(value) : value)));

// Controls but for line breaks and tabs, marks that turn or join text or take no room, blanks that are letters, halves
// of characters. A joiner inside an emoji stays.
const HIDDEN =
  /(?<joiner>(?<=\p{Extended_Pictographic}\ufe0f?)\u200d(?=\p{Extended_Pictographic}))|(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u034f\u115f\u1160\u2028\u2029\u2800\u3164\uffa0]/gu;

/** The text with every character that would hide or reorder something written out: `\u202e`, `\x1b`. */
export function visible(text) {
  return text.replace(HIDDEN, (found, joiner) => {
    if (joiner !== undefined) return found;
    const point = found.codePointAt(0);
    if (point < 0x100) return `\\x${hex(point, 2)}`;
    return point < 0x10000 ? `\\u${hex(point, 4)}` : `\\U${hex(point, 8)}`;
  });
}

const hex = (point, digits) => point.toString(16).padStart(digits, "0");
