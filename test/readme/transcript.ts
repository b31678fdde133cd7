/**
 * Transcripts: `$ ` begins a command of the shell, `127.0.0.1:6379> ` one of redis-cli, and what
 * follows up to the next prompt is what it must print.
 */

export interface Step {
  readonly prompt: "shell" | "redis";
  readonly command: string;
  /** Lines. */
  readonly expected: readonly string[];
}

const PROMPTS = { "$ ": "shell", "127.0.0.1:6379> ": "redis" } as const;

/** The steps of a transcript, or what is wrong with it. */
export function parseTranscript(text: string): Step[] | string {
  const steps: { prompt: Step["prompt"]; command: string; expected: string[] }[] = [];
  for (const line of text.replace(/\n+$/, "").split("\n")) {
    const prompt = Object.entries(PROMPTS).find(([start]) => line.startsWith(start));
    if (prompt !== undefined) {
      steps.push({ prompt: prompt[1], command: line.slice(prompt[0].length), expected: [] });
      continue;
    }
    const step = steps.at(-1);
    if (step === undefined) return "a transcript begins with a prompt";
    step.expected.push(line);
  }
  const first = steps.find(({ prompt }) => prompt === "redis");
  const opener = first === undefined ? undefined : steps[steps.indexOf(first) - 1];
  if (first !== undefined && opener?.command !== "redis-cli") {
    return "redis-cli is called before its prompt appears";
  }
  // The call itself prints nothing but the prompt of the next step.
  return opener === undefined ? steps : steps.filter((step) => step !== opener);
}

/** What differs between expected and actual lines, or null. */
export function difference(
  expected: readonly string[],
  actual: readonly string[],
  varies: readonly string[] = [],
): string | null {
  const length = Math.max(expected.length, actual.length);
  for (let index = 0; index < length; index += 1) {
    const [left, right] = [expected[index], actual[index]];
    const above = expected[index - 1] ?? "";
    const loose = varies.some((word) => above.includes(word));
    if (left !== undefined && right !== undefined) {
      if (left === right) continue;
      if (loose && masked(left) === masked(right)) continue;
    }
    return `line ${index + 1} is ${show(right)} and not ${show(left)}`;
  }
  return null;
}

/** The line without its last integer. */
function masked(line: string): string {
  return line.replace(/\(integer\) -?\d+$/, "(integer)");
}

function show(line: string | undefined): string {
  return line === undefined ? "missing" : JSON.stringify(line);
}
