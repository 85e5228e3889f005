// The templates of lit-html. Strings become text, never markup, and invisible characters are written out.

import { html as plain } from "../vendor/lit-html/lit-html.js";
import { visible } from "./visible.js";

export { nothing, render } from "../vendor/lit-html/lit-html.js";
export { live } from "../vendor/lit-html/directives/live.js";
export { repeat } from "../vendor/lit-html/directives/repeat.js";

/**
 * @param {TemplateStringsArray} strings
 * @param {unknown[]} values
 */
export const html = (strings, ...values) =>
  plain(strings, ...values.map((value) => (typeof value === "string" ? visible(value) : value)));
