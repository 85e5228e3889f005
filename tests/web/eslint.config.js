// Rules for the JavaScript of the page, the client and their tests. Run from the repository's root: the files are there.

import js from "@eslint/js";
import globals from "globals";

const STATIC = "hammerwork_cli/web/static";
/** The modules that touch the document or the browser's storage and clipboard; the others are pure. */
const IN_BROWSER = ["main.js", "theme.js", "stream.js", "live.js", "state/changes.js", "views/**/*.js"].map((path) => `${STATIC}/page/${path}`);

export default [
  { ignores: [`${STATIC}/vendor/**`, "**/node_modules/**"] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: "error", reportUnusedInlineConfigs: "error" },
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: globals["shared-node-browser"] },
    rules: {
      "array-callback-return": "error",
      complexity: ["error", 15],
      "default-case-last": "error",
      eqeqeq: "error",
      "max-depth": ["error", 4],
      "max-params": ["error", 5],
      "no-console": "error",
      "no-constructor-return": "error",
      "no-else-return": "error",
      "no-eval": "error",
      "no-implicit-coercion": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "error",
      "no-return-assign": "error",
      "no-self-compare": "error",
      "no-sequences": "error",
      "no-shadow": "error",
      "no-template-curly-in-string": "error",
      "no-throw-literal": "error",
      "no-unmodified-loop-condition": "error",
      "no-unneeded-ternary": "error",
      "no-unused-expressions": "error",
      "no-use-before-define": ["error", { functions: false, classes: true, variables: false }],
      "no-useless-concat": "error",
      "no-useless-rename": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
      radix: "error",
    },
  },
  {
    files: [`${STATIC}/**`],
    rules: {
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML", "write"].map((property) => ({
          property,
          message: "Text from the server only ever becomes text.",
        })),
      ],
      "no-restricted-imports": [
        "error",
        { patterns: [{ group: ["**/directives/unsafe-*"], message: "Text from the server only ever becomes text." }] },
      ],
    },
  },
  // One file, which programs copy.
  { files: IN_BROWSER, languageOptions: { globals: { ...globals.browser, toggleTheme: "readonly" } } },
  { files: [`${STATIC}/page/theme.js`], languageOptions: { sourceType: "script" } },
  { files: ["tests/**"], languageOptions: { globals: globals.node } },
];
