/** A text that is drawn over itself on a terminal, and printed one after the other elsewhere. */

/** The part of a standard stream that is needed. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const ESCAPE = "\u001b[";

export class Screen {
  readonly #output: Output;
  /** Lines of the terminal between the start of what was drawn and the cursor. */
  #lines = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Whether it draws over itself. */
  get inPlace(): boolean {
    return this.#output.isTTY === true;
  }

  /** Shows `text`, which ends with a line end, in place of the one before. */
  show(text: string): void {
    if (!this.inPlace) {
      this.#output.write(text);
      return;
    }
    const up = this.#lines === 0 ? "\r" : `\r${ESCAPE}${this.#lines}A`;
    this.#output.write(`${up}${ESCAPE}0J${text}`);
    this.#lines = rows(text, this.#output.columns ?? 0);
  }

  /** The terminal itself has moved on by so many lines, as it does when a person presses Enter. */
  scrolled(lines: number): void {
    this.#lines += lines;
  }
}

/** How many lines of the terminal a text takes; long lines are broken by it, after 80 if it does not say. */
function rows(text: string, width: number): number {
  // Some report a width of 0, such as those of `script` and of containers.
  const columns = width > 0 ? width : 80;
  const lines = text.split("\n").slice(0, -1);
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
}
