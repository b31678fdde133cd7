/**
 * Bars as SVG, readable on light and on dark ground: colours change with the reader's scheme, each bar
 * has its label and its figure beside it, and nothing is told by colour alone.
 */
import type { PeersReport } from "./results.ts";
import { show } from "../report.ts";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The figure as it is to be read. */
  readonly text: string;
  /** Ours stand out; what promises less is drawn hollow. */
  readonly style: "ours" | "peer" | "weaker";
}

/** Bars on one scale, from zero. */
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

export interface Chart {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Lines of small print at the end. */
  readonly notes: readonly string[];
}

const WIDTH = 860;
const MARGIN = 20;
const LABEL_WIDTH = 250;
const FIGURE_WIDTH = 110;
const BAR_WIDTH = WIDTH - 2 * MARGIN - LABEL_WIDTH - FIGURE_WIDTH;
const BAR_HEIGHT = 18;
const BAR_STEP = 26;
const TITLE_HEIGHT = 40;
const PANEL_TITLE_HEIGHT = 34;
const NOTE_HEIGHT = 18;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 17px; font-weight: 600; }
  .panel { font-weight: 600; }
  .note { font-size: 12px; fill: #59636e; }
  .ours { fill: #0969da; }
  .peer { fill: #8c959f; }
  .weaker { fill: none; stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 4 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .ours { fill: #4493f8; }
  }
`;

/** The whole picture, with no ground of its own. Throws for a value that has no length. */
export function chartSvg({ title, panels, notes }: Chart): string {
  const parts: string[] = [];
  let top = TITLE_HEIGHT;
  for (const panel of panels) {
    parts.push(...panelParts(panel, top));
    top += PANEL_TITLE_HEIGHT + panel.bars.length * BAR_STEP;
  }
  top += NOTE_HEIGHT;
  for (const note of notes) {
    parts.push(text({ left: MARGIN, top, className: "note", content: note }));
    top += NOTE_HEIGHT;
  }
  const name = escapeText(title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img" aria-label="${name}">`,
    `<title>${name}</title>`,
    `<style>${STYLE}</style>`,
    text({ left: MARGIN, top: 26, className: "title", content: title }),
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function panelParts({ title, bars }: Panel, top: number): string[] {
  const most = Math.max(...bars.map(({ value }) => value));
  const parts = [text({ left: MARGIN, top: top + 22, className: "panel", content: title })];
  for (const [index, { label, value, text: figure, style }] of bars.entries()) {
    if (!(value >= 0 && Number.isFinite(value)))
      throw new Error(`${label}: no length for ${value}`);
    const barTop = top + PANEL_TITLE_HEIGHT + index * BAR_STEP;
    const baseline = barTop + BAR_HEIGHT - 5;
    // A bar that is there is seen, however short.
    const length = Math.max(1, most === 0 ? 0 : (value / most) * BAR_WIDTH);
    const left = MARGIN + LABEL_WIDTH;
    parts.push(
      text({ left: left - 8, top: baseline, content: label, anchor: "end" }),
      `<rect class="${style}" x="${left}" y="${barTop}" width="${length.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
      text({ left: left + length + 8, top: baseline, content: figure }),
    );
  }
  return parts;
}

function text({
  left,
  top,
  content,
  className,
  anchor,
}: {
  readonly left: number;
  readonly top: number;
  readonly content: string;
  readonly className?: string;
  readonly anchor?: "end";
}): string {
  const attributes = [
    `x="${Number(left.toFixed(1))}"`,
    `y="${top}"`,
    ...(className === undefined ? [] : [`class="${className}"`]),
    ...(anchor === undefined ? [] : [`text-anchor="${anchor}"`]),
  ];
  return `<text ${attributes.join(" ")}>${escapeText(content)}</text>`;
}

/** Text that means itself within an element and within an attribute. */
export function escapeText(content: string): string {
  return content
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** The figures of a run that tell most: throughput with many users, and the gap of a failover. */
export function peersChart(report: PeersReport, machine: string): Chart {
  const rates = report.workloads.filter(({ kind, rows }) => kind === "pairs" && rows.length > 0);
  const wanted = rates.filter(({ id }) => id === "pairs-100" || id === "pairs-500");
  const shown = wanted.length > 0 ? wanted : rates.slice(-1);
  const panels: Panel[] = shown.map(({ title, rows }) => ({
    title: `Locks taken and freed in a second, ${title}`,
    bars: rows.map((row) => ({
      label: row.title,
      value: row.pairsPerSecond.median,
      text: show(row.pairsPerSecond.median, "per second"),
      style: styleOf(row),
    })),
  }));
  if (report.failover.length > 0) {
    panels.push({
      title: "Longest time without a lock after kill -9 of the leader, median",
      bars: report.failover.map(({ system, title, worstMs }) => ({
        label: title,
        value: worstMs.median,
        text: `${worstMs.median.toFixed(0)} ms`,
        style: system === "paxlock" ? "ours" : "peer",
      })),
    });
  }
  return {
    title: "Paxlock beside other lock services",
    panels,
    notes: ["Dashed: not replicated, or acknowledged before it is on a disk.", machine],
  };
}

function styleOf({
  system,
  durable,
  replicated,
}: {
  readonly system: string;
  readonly durable: boolean;
  readonly replicated: boolean;
}): Bar["style"] {
  if (system.startsWith("paxlock")) return "ours";
  return durable && replicated ? "peer" : "weaker";
}
