// Writes out characters that hide or reorder text.

// Control characters except line breaks and tabs, marks that reverse or join text or have no width, letters that look
// like blanks, and lone surrogates. A joiner inside an emoji stays.
const HIDDEN =
  /(?<joiner>(?<=\p{Extended_Pictographic}\ufe0f?)\u200d(?=\p{Extended_Pictographic}))|(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u034f\u115f\u1160\u2028\u2029\u2800\u3164\uffa0]/gu;

/**
 * The text with each character that hides or reorders something written out: `\u202e`, `\x1b`.
 * @param {string} text
 */
export function visible(text) {
  return text.replace(HIDDEN, (found, joiner) => {
    if (joiner !== undefined) return found;
    const point = found.codePointAt(0) ?? 0;
    if (point < 0x100) return `\\x${hex(point, 2)}`;
    return point < 0x10000 ? `\\u${hex(point, 4)}` : `\\U${hex(point, 8)}`;
  });
}

/**
 * @param {number} point
 * @param {number} digits
 */
const hex = (point, digits) => point.toString(16).padStart(digits, "0");
