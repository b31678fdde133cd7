/**
 * A connection that sends bytes in the pieces it is told and gives back raw replies. It knows no
 * command and no protocol version, so nothing that a server writes is smoothed over.
 */
import { connect, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { FrameCutter } from "./frames.ts";

const WAIT_LIMIT_MS = 20_000;

/** What came back for what was sent. */
export interface Exchange {
  /** Complete replies, raw, in order. */
  readonly frames: readonly string[];
  /** The server closed the connection; the frames before that are all there are. */
  readonly closed: boolean;
  /** Bytes that are no complete reply; empty unless the server closed in the middle of one. */
  readonly rest: string;
}

/** One of the two servers, as the comparison sees it. */
export interface Side {
  /** Sends the pieces one by one; waits until `last` has come as a reply, or for the end. */
  exchange(pieces: readonly string[], last: string): Promise<Exchange>;
  /** Begins again with a fresh connection. */
  reconnect(): Promise<void>;
  close(): void;
}

export class RawConnection implements Side {
  readonly #port: number;
  readonly #unheard: (frame: string) => boolean;
  #socket: Socket | null = null;
  #cutter = new FrameCutter();
  #frames: string[] = [];
  #failure: Error | null = null;
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor(port: number, unheard: (frame: string) => boolean) {
    this.#port = port;
    this.#unheard = unheard;
  }

  /** Frames for which `unheard` holds are taken for never sent. */
  static async open(
    port: number,
    unheard: (frame: string) => boolean = () => false,
  ): Promise<RawConnection> {
    const connection = new RawConnection(port, unheard);
    await connection.reconnect();
    return connection;
  }

  async reconnect(): Promise<void> {
    this.close();
    const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    this.#socket = socket;
    this.#cutter = new FrameCutter();
    this.#frames = [];
    this.#failure = null;
    this.#ended = false;
    socket.removeAllListeners("error");
    // A reset is an ending like others; "close" follows.
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      try {
        for (const frame of this.#cutter.cut(chunk.toString("latin1"))) {
          if (!this.#unheard(frame)) this.#frames.push(frame);
        }
      } catch (error) {
        this.#failure = error as Error;
      }
      this.#wake();
    });
    socket.on("close", () => {
      if (this.#socket !== socket) return;
      this.#ended = true;
      this.#wake();
    });
  }

  async exchange(pieces: readonly string[], last: string): Promise<Exchange> {
    for (const piece of pieces) {
      this.#socket?.write(piece, "latin1");
      if (pieces.length > 1) await nextTurn();
    }
    await this.#until(() => this.#ended || this.#frames.at(-1) === last);
    const frames = this.#frames;
    this.#frames = [];
    return { frames, closed: this.#ended, rest: this.#cutter.rest };
  }

  /** Ends our side in order, after what was sent. */
  endWriting(): void {
    this.#socket?.end();
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  async #until(ready: () => boolean): Promise<void> {
    const end = performance.now() + WAIT_LIMIT_MS;
    while (!ready()) {
      if (this.#failure !== null) throw this.#failure;
      const left = end - performance.now();
      if (left <= 0) throw new Error(`no answer within ${WAIT_LIMIT_MS} ms: ${this.#seen()}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }

  #seen(): string {
    return JSON.stringify([...this.#frames, this.#cutter.rest]).slice(0, 2_000);
  }
}
