/**
 * The folders of `src` and who may import whom, as data. The dependency rules, the lint blocks of
 * the pure folders and the drawing of the layers all come from this table.
 *
 * When you add a folder: give it the rank above the highest folder it imports, say in `only` which
 * folders below it it may know where that is not all of them, and name in `packages` the npm packages
 * it may use, each of which is a dependency with a reason. Tests check that every folder on disk has a row.
 */

/**
 * @typedef {object} Layer
 * @property {string} folder Name below `src`.
 * @property {number} rank Imports point to a lower rank only; folders of one rank are strangers.
 * @property {boolean} pure No Node, clock, randomness, timer or promise: runs in the simulator.
 * @property {boolean} [ports] Not pure in style, but reaches the outside through ports only.
 * @property {readonly string[]} [only] Folders below that it may import. All of them by default.
 * @property {readonly string[]} [packages] npm packages this folder may import, type imports included.
 * @property {string} holds One line for the reader.
 */

/** @type {readonly Layer[]} */
const layers = [
  { folder: "base", rank: 0, pure: true, holds: "assert, limits, ids, ports, bytes, containers" },
  { folder: "resp", rank: 1, pure: true, holds: "RESP2 and RESP3 decoding and encoding" },
  { folder: "paxos", rank: 1, pure: true, holds: "Multi-Paxos for one group" },
  { folder: "machine", rank: 1, pure: true, holds: "the replicated state of one lock group" },
  { folder: "cluster", rank: 1, pure: true, holds: "the replicated state of group 0" },
  { folder: "wire", rank: 2, pure: true, holds: "codecs for peers, log entries, snapshots" },
  { folder: "commands", rank: 2, pure: true, holds: "one file per command or family" },
  { folder: "transport", rank: 2, pure: false, holds: "frames between nodes, TLS" },
  { folder: "config", rank: 2, pure: false, holds: "one table of options" },
  {
    folder: "storage",
    rank: 3,
    pure: false,
    packages: ["lmdb"],
    holds: "durable log in files, state on LMDB",
  },
  { folder: "replica", rank: 3, pure: false, ports: true, holds: "runs effects in order" },
  { folder: "server", rank: 4, pure: false, holds: "the RESP front door" },
  { folder: "http", rank: 4, pure: false, holds: "REST, metrics, dashboard" },
  { folder: "history", rank: 4, pure: false, holds: "audit sinks" },
  {
    folder: "node",
    rank: 5,
    pure: false,
    packages: ["pino", "pino-pretty", "wasmoon-lua5.1"],
    holds: "composition root",
  },
  {
    folder: "client",
    rank: 6,
    pure: false,
    packages: ["ioredis"],
    only: ["base"],
    holds: "TypeScript SDK over ioredis",
  },
  { folder: "sim", rank: 6, pure: false, holds: "simulator, the second composition root" },
  {
    folder: "cli",
    rank: 7,
    pure: false,
    packages: ["pino", "pino-pretty"],
    holds: "the paxlock command",
  },
];

/** Nobody imports these, whatever their rank. */
const ends = ["sim", "cli"];

/** Folders `layer` may import, itself excepted. */
function allowed(layer) {
  const { rank, only } = layer;
  return layers.filter(
    ({ folder, rank: other }) =>
      other < rank && !ends.includes(folder) && (only === undefined || only.includes(folder)),
  );
}

const pureFolders = layers.filter(({ pure }) => pure).map(({ folder }) => folder);
const nodelessFolders = layers.filter(({ pure, ports }) => pure || ports).map((l) => l.folder);

function alternatives(names) {
  return names.map((name) => name.replace(/[.\-/]/g, "\\$&")).join("|");
}

/** Rules for dependency-cruiser; a violation is reported under the rule's name. */
function cruiserRules() {
  const severity = "error";
  const layerRules = layers.map((layer) => {
    const names = [layer.folder, ...allowed(layer).map(({ folder }) => folder)];
    return {
      name: `layer-${layer.folder}`,
      comment: `src/${layer.folder} may import only: ${names.join(", ")}`,
      severity,
      from: { path: `^src/${layer.folder}/` },
      to: { path: "^src/", pathNot: `^src/(${alternatives(names)})/` },
    };
  });
  const packageRules = layers.map(({ folder, packages = [] }) => ({
    name: `packages-${folder}`,
    comment: `src/${folder} may import only these packages: ${packages.join(", ") || "none"}`,
    severity,
    from: { path: `^src/${folder}/` },
    to: {
      dependencyTypesNot: ["local", "core", "unknown"],
      ...(packages.length > 0 && { pathNot: `node_modules/(${alternatives(packages)})/` }),
      path: "node_modules/",
    },
  }));
  return [
    ...layerRules,
    ...packageRules,
    {
      name: "no-unlisted-folder",
      comment: "every folder of src has a row in test/tidy/layers.cjs, and src has no loose files",
      severity,
      from: {},
      to: {
        path: "^src/",
        pathNot: `^src/(${alternatives(layers.map(({ folder }) => folder))})/`,
      },
    },
    {
      name: "no-core-in-pure",
      comment: "pure folders and the replica reach Node through ports only, never by node:*",
      severity,
      from: { path: `^src/(${alternatives(nodelessFolders)})/` },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-import-of-ends",
      comment: `nobody imports ${ends.join(" or ")}`,
      severity,
      from: { path: "^(src|test|bench)/", pathNot: `^(src/(${alternatives(ends)})|test|bench)/` },
      to: { path: `^src/(${alternatives(ends)})/` },
    },
    {
      name: "src-not-to-test",
      comment: "production never imports tests, benches or what is outside src",
      severity,
      from: { path: "^src/" },
      to: { pathNot: "^src/", dependencyTypes: ["local"] },
    },
    {
      name: "not-to-dev-dependency",
      comment: "what src imports must be there after npm install --omit=dev",
      severity,
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev"] },
    },
    {
      name: "not-to-undeclared",
      comment: "an import must resolve, and its package must stand in package.json",
      severity,
      from: {},
      to: { dependencyTypes: ["unknown", "undetermined", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "no-circular",
      comment: "files of one folder do not import each other in a ring",
      severity,
      from: {},
      to: { circular: true },
    },
    {
      name: "no-orphans",
      comment: "a file nobody imports and that imports nothing is dead",
      severity,
      from: { orphan: true, path: "^src/", pathNot: "\\.d\\.ts$" },
      to: {},
    },
  ];
}

/** Options for `cruise()`; `type` imports count, since a type from above is knowledge of above. */
function cruiserOptions() {
  return {
    ruleSet: { forbidden: cruiserRules() },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^test/support/fixtures/" },
    moduleSystems: ["es6", "cjs"],
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  };
}

/**
 * The drawing for the README: each box may import what stands in lower boxes; round is pure. What
 * `ends` names is imported by nobody.
 */
function mermaid() {
  const ranks = [...new Set(layers.map(({ rank }) => rank))].sort((one, other) => other - one);
  const lines = ["flowchart TD"];
  for (const rank of ranks) {
    lines.push(`  subgraph rank${rank} [" "]`);
    for (const layer of layers.filter((candidate) => candidate.rank === rank)) {
      const [open, close] = layer.pure ? ["([", "])"] : ["[", "]"];
      lines.push(`    ${layer.folder}${open}"${layer.folder}: ${layer.holds}"${close}`);
    }
    lines.push("  end");
  }
  lines.push(`  ${ranks.map((rank) => `rank${rank}`).join(" --> ")}`);
  return `${lines.join("\n")}\n`;
}

module.exports = { layers, pureFolders, nodelessFolders, cruiserOptions, cruiserRules, mermaid };
