/** Many commands over one connection, some always on their way, each answer looked at. */
import { connect } from "node:net";
import RedisParser from "redis-parser";
import { encodeCommand } from "../../test/support/resp-client.ts";

type Command = readonly (string | number)[];

/** Commands sent and not yet answered. */
const WINDOW = 512;

/**
 * A connection that keeps up to {@link WINDOW} commands on their way. Answers are those of
 * `redis-parser`: text, numbers, null and lists of them.
 */
export class Pipeline {
  readonly #socket;
  #answers: unknown[] = [];
  #commands: readonly Command[] = [];
  #sent = 0;
  #done: (() => void) | null = null;
  #failure: Error | null = null;

  private constructor(port: number) {
    const failed = (error: Error): void => {
      this.#failure ??= error;
      this.#done?.();
    };
    const parser = new RedisParser({
      returnReply: (reply: unknown) => this.#answers.push(reply),
      returnError: failed,
      returnFatalError: failed,
    });
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => {
      parser.execute(chunk);
      this.#send();
      if (this.#answers.length === this.#commands.length) this.#done?.();
    });
    this.#socket.on("error", failed);
    this.#socket.on("close", () => {
      failed(new Error("the server closed the connection"));
    });
  }

  static async connect(port: number): Promise<Pipeline> {
    const pipeline = new Pipeline(port);
    await new Promise<void>((resolve) => {
      pipeline.#done = resolve;
      pipeline.#socket.once("connect", resolve);
    });
    if (pipeline.#failure !== null) throw pipeline.#failure;
    return pipeline;
  }

  /** Sends all commands in order and gives their answers; an error answer is thrown. */
  async run(commands: readonly Command[]): Promise<unknown[]> {
    if (commands.length === 0) return [];
    this.#commands = commands;
    this.#answers = [];
    this.#sent = 0;
    await new Promise<void>((resolve) => {
      this.#done = resolve;
      this.#send();
    });
    if (this.#failure !== null) throw this.#failure;
    return this.#answers;
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(): void {
    const end = Math.min(this.#commands.length, this.#answers.length + WINDOW);
    let text = "";
    for (; this.#sent < end; this.#sent += 1)
      text += encodeCommand(this.#commands[this.#sent] ?? []);
    if (text !== "") this.#socket.write(text, "latin1");
  }
}
