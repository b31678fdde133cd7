/**
 * A link: one connection to another node after the handshake, until it ends.
 *
 * TCP alone notices a dead machine after minutes, so both sides send at least one sign of life per
 * tick, and silence ends the link.
 */
import type { Socket } from "node:net";
import type { Millis, NodeId } from "../base/ids.ts";
import { assert } from "../base/assert.ts";
import { PEER_BODY_BYTES_MAX } from "../base/limits.ts";
import {
  FRAME_HEADER_BYTES,
  frameHeader,
  FrameReader,
  SIGN_OF_LIFE,
  writeFrameHeader,
} from "./frame.ts";
import type { Identity } from "./handshake.ts";

/** Bodies up to this are copied behind their header: cheaper than handing the system two pieces. */
const COPIED_BYTES_MAX = 8 * 1024;

export interface LinkOptions {
  readonly socket: Socket;
  readonly other: Identity;
  /** The address that was dialled, or null when the other side did. */
  readonly dialled: string | null;
  /** For log lines: the dialled address, or where the other side comes from. */
  readonly place: string;
  readonly queueBytesMax: number;
  readonly tickMs: Millis;
  readonly silentTicks: number;
  /** Never called after {@link onClosed}, nor from within {@link Link.send}. */
  readonly onBody: (body: Uint8Array) => void;
  /** Called once, with the reason, when the link ends otherwise than by {@link Link.end}. */
  readonly onClosed: (reason: string) => void;
}

export class Link {
  readonly other: Identity;
  readonly dialled: string | null;
  readonly place: string;
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #reader = new FrameReader();
  #open = true;
  #corked = false;
  #sentSinceTick = true;
  #silentTicks = 0;

  /** Takes over the socket, whose handlers the caller has removed. */
  constructor(options: LinkOptions) {
    this.other = options.other;
    this.dialled = options.dialled;
    this.place = options.place;
    this.#options = options;
    const { socket } = options;
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => {
      this.receive(chunk);
    });
    socket.on("end", () => {
      this.#fail("it closed the connection");
    });
    socket.on("error", (error) => {
      this.#fail(describeSocketError(error));
    });
    socket.on("close", () => {
      this.#fail("the connection is gone");
    });
  }

  get node(): NodeId {
    return this.other.node;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends a body; false when the link has ended or its queue is full. All of a turn is one write. */
  send(body: Uint8Array): boolean {
    assert(body.length > 0, "a body is not empty");
    assert(body.length <= PEER_BODY_BYTES_MAX, "a body is within its bound");
    if (!this.#open) return false;
    const socket = this.#socket;
    const waiting = socket.writableLength;
    // A body that finds the queue empty is taken whatever its size, or it could never be sent.
    if (waiting > 0 && waiting + FRAME_HEADER_BYTES + body.length > this.#options.queueBytesMax) {
      return false;
    }
    if (!this.#corked) {
      this.#corked = true;
      socket.cork();
      process.nextTick(this.#uncork);
    }
    if (body.length <= COPIED_BYTES_MAX) {
      const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length);
      writeFrameHeader(frame, body);
      frame.set(body, FRAME_HEADER_BYTES);
      socket.write(frame);
    } else {
      socket.write(frameHeader(body));
      socket.write(body);
    }
    this.#sentSinceTick = true;
    return true;
  }

  /** Takes bytes that came; the handshake hands over what it has read too much. */
  receive(chunk: Uint8Array): void {
    if (!this.#open) return;
    this.#silentTicks = 0;
    this.#reader.push(chunk);
    for (;;) {
      const body = this.#reader.next();
      if (body === null) break;
      this.#options.onBody(body);
      // The handler may have ended this link, and then nothing of it may reach anybody.
      if (!this.isOpen) return;
    }
    if (this.#reader.problem !== null) this.#fail(`it sent ${this.#reader.problem}`);
  }

  /** Time goes on: gives a sign of life when nothing else was sent, and notices silence. */
  tick(): void {
    if (!this.#open) return;
    this.#silentTicks += 1;
    if (this.#silentTicks > this.#options.silentTicks) {
      const seconds = (this.#options.silentTicks * this.#options.tickMs) / 1000;
      this.#fail(`nothing has come from it for ${seconds} s`);
      return;
    }
    // What still waits in the queue will be sign enough.
    if (!this.#sentSinceTick && this.#socket.writableLength === 0) this.#socket.write(SIGN_OF_LIFE);
    this.#sentSinceTick = false;
  }

  /** Ends the link without a word to the owner; what is queued may take `flushMs` to leave. */
  end(flushMs: Millis): void {
    if (!this.#open) return;
    this.#open = false;
    const socket = this.#socket;
    if (flushMs === 0) {
      socket.destroy();
      return;
    }
    const timer = setTimeout(() => {
      socket.destroy();
    }, flushMs);
    socket.once("close", () => {
      clearTimeout(timer);
    });
    socket.end();
  }

  /** Calls back once the connection is gone. */
  onceGone(done: () => void): void {
    if (this.#socket.closed) done();
    else this.#socket.once("close", done);
  }

  readonly #uncork = (): void => {
    this.#corked = false;
    this.#socket.uncork();
  };

  #fail(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    this.#socket.destroy();
    this.#options.onClosed(reason);
  }
}

/** An error of a connection in a few words. */
export function describeSocketError(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : null;
  if (code === "ECONNRESET" || code === "EPIPE") return "it reset the connection";
  return code === "ETIMEDOUT" ? "it no longer answers" : (code ?? error.message);
}
