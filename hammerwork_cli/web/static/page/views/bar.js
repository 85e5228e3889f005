import { share } from "../counts.js";
import { html } from "../template.js";
import { countsInWords } from "../words.js";

/** @import { ChildCounts, TreeCounts } from "../../client.js" */

const KINDS = /** @type {const} */ (["completed", "failed", "running"]);

/**
 * A progress bar: the completed, failed and running parts of a total. Of a total that is not known, it draws no parts:
 * what was counted may be anything but a fair sample.
 * @param {ChildCounts | TreeCounts} counts
 */
export function bar(counts, label = "Children") {
  if ("more" in counts && counts.more) {
    return html`<span class="bar uncounted" role="img" aria-label="${label}: not all counted"></span>`;
  }
  const finished = counts.total - counts.running - counts.pending;
  const parts = { ...counts, completed: finished - counts.failed - (counts.cancelled ?? 0) };
  return html`<span
    class="bar"
    role="progressbar"
    aria-label=${label}
    aria-valuemin="0"
    aria-valuemax=${counts.total}
    aria-valuenow=${finished}
    aria-valuetext="${finished} of ${counts.total} finished: ${countsInWords(counts)}"
    >${KINDS.map((kind) => html`<i class=${kind} .style=${`width: ${share(parts[kind], counts.total)}%`}></i>`)}</span
  >`;
}
