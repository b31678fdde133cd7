/**
 * Lint rules, all at `error`: correctness that types alone do not hold, and for the pure folders
 * everything that would make two replicas differ. Sizes are for the reader to judge, not for a gate.
 */
import { createRequire } from "node:module";
import tseslint from "typescript-eslint";

const require = createRequire(import.meta.url);
const { pureFolders } = require("./layers.cjs");

const impureGlobals = [
  ["Date", "take the time as nowMs or ticks from the caller"],
  ["performance", "take the time as nowMs or ticks from the caller"],
  ["crypto", "take randomness from a port"],
  ["process", "take it from a port or from the configuration"],
  ["console", "report through a value or a port"],
  ["Buffer", "bytes are latin-1 strings or Uint8Array here"],
  ["setTimeout", "ask for a tick"],
  ["setInterval", "ask for a tick"],
  ["setImmediate", "append an effect"],
  ["queueMicrotask", "append an effect"],
  ["Promise", "append an effect; completion comes back by mark"],
  ["structuredClone", "copy by hand, the shape is known"],
  ["fetch", "reach the outside through a port"],
  ["Intl", "locales differ between machines"],
  ["WeakRef", "garbage collection is not deterministic"],
  ["FinalizationRegistry", "garbage collection is not deterministic"],
  ["globalThis", "name what you need, so that it can be checked"],
].map(([name, message]) => ({ name, message }));

const inexactMath =
  "sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp expm1 log log2 log10 log1p pow cbrt hypot"
    .split(" ")
    .map((property) => ({
      object: "Math",
      property,
      message: "its precision depends on the engine, so replicas could differ; use integers",
    }));

const impureProperties = [
  { object: "Math", property: "random", message: "take randomness from a port" },
  ...inexactMath,
  ...["localeCompare", "toLocaleString", "toLocaleUpperCase", "toLocaleLowerCase"].map(
    (property) => ({ property, message: "locales differ between machines" }),
  ),
];

const impureSyntax = [
  {
    selector: ":function[async=true], AwaitExpression, ForOfStatement[await=true]",
    message: "pure folders are promise-free: append an effect and take the answer as an input",
  },
  { selector: "ForInStatement", message: "iterate a Map or an array, whose order is fixed" },
];
const throwing = {
  selector: "ThrowStatement",
  message: "a bug goes through base/assert.ts, a condition is a value in the return type",
};

export default tseslint.config(
  { ignores: ["**/node_modules/", "dist/", ".tmp/", "test/support/fixtures/"] },
  {
    files: ["**/*.ts"],
    plugins: { "@typescript-eslint": tseslint.plugin },
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unnecessary-condition": [
        "error",
        { allowConstantLoopConditions: "only-allowed-literals" },
      ],
      "@typescript-eslint/only-throw-error": "error",
      "@typescript-eslint/return-await": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      eqeqeq: "error",
      "no-console": "error",
      "no-param-reassign": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  {
    // Where an index was checked one line above, in loops that must not branch twice per byte.
    files: ["src/resp/decoder.ts", "src/base/bytes.ts", "src/base/crc32c.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  {
    // Relations between bounds are asserted at load; that they hold today is no reason not to.
    files: ["src/base/limits.ts"],
    rules: { "@typescript-eslint/no-unnecessary-condition": "off" },
  },
  { files: ["src/cli/**", "test/**", "bench/**"], rules: { "no-console": "off" } },
  {
    files: pureFolders.map((folder) => `src/${folder}/**/*.ts`),
    rules: {
      "no-restricted-globals": ["error", ...impureGlobals],
      "no-restricted-properties": ["error", ...impureProperties],
      "no-restricted-syntax": ["error", ...impureSyntax, throwing],
    },
  },
  {
    // The one pure folder whose work is Node's byte buffers.
    files: ["src/resp/**/*.ts"],
    rules: {
      "no-restricted-globals": ["error", ...impureGlobals.filter(({ name }) => name !== "Buffer")],
    },
  },
  {
    // The one place where a broken invariant becomes a thrown error.
    files: ["src/base/assert.ts"],
    rules: { "no-restricted-syntax": ["error", ...impureSyntax] },
  },
);
