/**
 * A connection to a node for the commands of `paxlock`: RESP2, one request after the other, each
 * within a time. Strings are latin-1, one character per byte, as everywhere.
 */
import { connect, type Socket } from "node:net";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";

/** A reply as RESP2 has it; status replies are texts. */
export type ClientReply = null | number | string | ErrorReply | readonly ClientReply[];

export interface NodeAddress {
  readonly host: string;
  readonly port: number;
  /** Empty: none is sent. */
  readonly password: string;
}

/** Past this a reply is not one that these commands ask for. */
const REPLY_BYTES_MAX = 64 * 1024 * 1024;
const DEPTH_MAX = 16;

/** Why a node could not be asked, in words for a person. */
export class NodeUnreachable extends Error {
  override readonly name = "NodeUnreachable";
}

interface Waiting {
  readonly resolve: (reply: ClientReply) => void;
  readonly reject: (reason: Error) => void;
}

/** One connection; whoever opens it closes it. */
export class NodeClient {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  #input = "";
  readonly #waiting: Waiting[] = [];
  #failure: Error | null = null;

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#receive(chunk.toString("latin1"));
    });
    socket.on("error", (error) => {
      this.#fail(error);
    });
    socket.on("close", () => {
      this.#fail(new Error("the node closed the connection"));
    });
  }

  /** Connects and gives the password if there is one; rejects with {@link NodeUnreachable}. */
  static async open(address: NodeAddress, timeoutMs: number): Promise<NodeClient> {
    const { host, port, password } = address;
    const socket = connect({ host, port });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new NodeUnreachable(`no answer from ${place(address)} within ${timeoutMs} ms`));
      }, timeoutMs);
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        reject(new NodeUnreachable(connectFailure(address, error)));
      });
    });
    socket.removeAllListeners("error");
    const client = new NodeClient(socket, timeoutMs);
    if (password === "") return client;
    try {
      const reply = await client.call("AUTH", password);
      if (isErrorReply(reply)) throw new NodeUnreachable(`${place(address)}: ${reply.text}`);
    } catch (thrown) {
      client.close();
      throw thrown;
    }
    return client;
  }

  /** Sends one request. An error reply is a value; no reply in time is {@link NodeUnreachable}. */
  async call(...args: readonly string[]): Promise<ClientReply> {
    if (this.#failure !== null) throw new NodeUnreachable(this.#failure.message);
    const parts = args.map((text) => `$${text.length}\r\n${text}\r\n`);
    this.#socket.write(Buffer.from(`*${args.length}\r\n${parts.join("")}`, "latin1"));
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<ClientReply>((resolve, reject) => {
        timer = setTimeout(() => {
          this.#fail(new Error(`no answer within ${this.#timeoutMs} ms`));
        }, this.#timeoutMs);
        this.#waiting.push({ resolve, reject });
      });
    } catch (thrown) {
      throw new NodeUnreachable(thrown instanceof Error ? thrown.message : String(thrown));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether requests may still be sent. */
  get isOpen(): boolean {
    return this.#failure === null;
  }

  close(): void {
    this.#fail(new Error("the connection is closed"));
  }

  #receive(text: string): void {
    this.#input += text;
    if (this.#input.length > REPLY_BYTES_MAX) {
      this.#fail(new Error("the answer is too long for a Paxlock's"));
      return;
    }
    while (this.#waiting.length > 0) {
      const parsed = parseReply(this.#input);
      if (parsed === null) return;
      if (parsed === "malformed") {
        this.#fail(new Error("the answer is not RESP: this is no Paxlock"));
        return;
      }
      this.#input = this.#input.slice(parsed.end);
      this.#waiting.shift()?.resolve(parsed.reply);
    }
  }

  #fail(reason: Error): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}

/** Whether a reply is an error. */
export function isErrorReply(reply: ClientReply): reply is ErrorReply {
  return typeof reply === "object" && reply !== null && "kind" in reply;
}

/** Where a node is, as one word; an IPv6 address stands in brackets. */
export function place({ host, port }: Pick<NodeAddress, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The first reply of `text` and where it ends; null while it is not whole. */
export function parseReply(
  text: string,
  start = 0,
  depth = 0,
): { readonly reply: ClientReply; readonly end: number } | null | "malformed" {
  const lineEnd = text.indexOf("\r\n", start);
  if (lineEnd < 0) return null;
  const line = text.slice(start + 1, lineEnd);
  const next = lineEnd + 2;
  switch (text.charAt(start)) {
    case "+":
      return { reply: line, end: next };
    case "-":
      return { reply: errorReply(line), end: next };
    case ":":
      return integer(line) === null ? "malformed" : { reply: Number(line), end: next };
    case "$": {
      const length = integer(line);
      if (length === null || length < -1 || length > REPLY_BYTES_MAX) return "malformed";
      if (length === -1) return { reply: null, end: next };
      const end = next + length + 2;
      return text.length < end ? null : { reply: text.slice(next, next + length), end };
    }
    case "*":
      return parseList(text, { count: integer(line), start: next, depth });
    default:
      return "malformed";
  }
}

function parseList(
  text: string,
  {
    count,
    start,
    depth,
  }: { readonly count: number | null; readonly start: number; readonly depth: number },
): ReturnType<typeof parseReply> {
  if (count === -1) return { reply: null, end: start };
  if (count === null || count < 0 || depth === DEPTH_MAX) return "malformed";
  const items: ClientReply[] = [];
  let end = start;
  while (items.length < count) {
    const item = parseReply(text, end, depth + 1);
    if (item === null || item === "malformed") return item;
    items.push(item.reply);
    end = item.end;
  }
  return { reply: items, end };
}

function integer(line: string): number | null {
  return /^-?[0-9]{1,15}$/.test(line) ? Number(line) : null;
}

function connectFailure(address: NodeAddress, error: NodeJS.ErrnoException): string {
  switch (String(error.code)) {
    case "ECONNREFUSED":
      return `no node answers at ${place(address)}; is it running, and are --host and --port those of it?`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the host ${address.host} is not known`;
    default:
      return `${place(address)} cannot be reached: ${error.message}`;
  }
}
