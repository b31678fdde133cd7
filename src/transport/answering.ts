/** Being called: the acceptor's side of the handshake, over a connection that may need TLS first. */
import type { Socket } from "node:net";
import type { Server as TlsServer, TLSSocket } from "node:tls";
import { createServer } from "node:tls";
import type { Millis, NodeId } from "../base/ids.ts";
import type { Check } from "./dialing.ts";
import type { HandshakeMessage, Identity, Refusal } from "./handshake.ts";
import { dials, encodeHandshake, HANDSHAKE_VERSION, HandshakeReader } from "./handshake.ts";
import type { TlsMaterial } from "./tls.ts";

/** The first byte of a TLS handshake, and of ours. */
const TLS_BYTE = 0x16;
const OWN_BYTE = 0x50;

export type AnswerOutcome =
  | {
      readonly kind: "linked";
      readonly socket: Socket;
      readonly other: Identity;
      readonly rest: Uint8Array;
    }
  /** A node whose calls do not become links wants to be called. */
  | { readonly kind: "knocked"; readonly other: Identity }
  /** Refused here; `node` is 0 when it is not known who called. */
  | { readonly kind: "refused-here"; readonly node: NodeId; readonly refusal: Refusal }
  | { readonly kind: "refused-there"; readonly node: NodeId; readonly reason: string }
  /** No node, or none that speaks as it should; `problem` continues "it …". */
  | { readonly kind: "strange"; readonly problem: string }
  /**
   * It said nothing, as who tries whether the port is open, or left after a proper hello, as who has
   * got a link otherwise in the meantime.
   */
  | { readonly kind: "silent" };

export interface AnswerOptions {
  readonly self: Identity;
  readonly handshakeMs: Millis;
  readonly check: Check;
  /** Null: plain connections only. */
  readonly tls: TlsGate | null;
}

/** One call that came in. `done` is called once, unless the call is aborted. */
export class Answer {
  readonly #options: AnswerOptions;
  readonly #done: (outcome: AnswerOutcome) => void;
  /** The plain connection; with TLS, what carries it. */
  readonly #carrier: Socket;
  #socket: Socket;
  #reader = new HandshakeReader();
  readonly #deadline: NodeJS.Timeout;
  #caller: Identity | null = null;
  #heard = false;
  #over = false;

  constructor(socket: Socket, options: AnswerOptions, done: (outcome: AnswerOutcome) => void) {
    this.#options = options;
    this.#done = done;
    this.#carrier = socket;
    this.#socket = socket;
    this.#deadline = setTimeout(() => {
      this.#timedOut();
    }, options.handshakeMs);
    // Also a connection that TLS has taken over ends the call with it.
    socket.on("error", this.#gone).on("close", this.#gone);
    socket.once("data", (chunk: Uint8Array) => {
      this.#begin(chunk);
    });
  }

  /** Ends the call; nothing is reported. */
  abort(): void {
    this.#over = true;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
    this.#carrier.destroy();
  }

  #begin(chunk: Uint8Array): void {
    if (this.#over) return;
    this.#heard = true;
    const { tls, self } = this.#options;
    if (chunk[0] === TLS_BYTE && tls !== null) {
      this.#socket.pause();
      this.#socket.unshift(chunk);
      tls.accept(this.#carrier, (secured) => {
        this.#secured(secured);
      });
    } else if (chunk[0] === TLS_BYTE) {
      this.#socket.write(this.#refusalBytes(plainOnly(self.node), 0));
      this.#end({ kind: "refused-here", node: 0, refusal: plainOnly(self.node) });
    } else if (chunk[0] !== OWN_BYTE) {
      this.#strange("something else");
    } else if (tls === null) {
      this.#socket.on("data", this.#take);
      this.#take(chunk);
    } else {
      this.#refuse(0, {
        code: "tls",
        reason: `node ${self.node} speaks only TLS with other nodes; give all nodes --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or none of them`,
      });
    }
  }

  #secured(secured: TLSSocket | string): void {
    if (this.#over) {
      if (typeof secured !== "string") secured.destroy();
      return;
    }
    if (typeof secured === "string") {
      this.#end({ kind: "strange", problem: `failed in TLS (${secured})` });
      return;
    }
    this.#socket = secured;
    secured.on("error", this.#gone).on("close", this.#gone).on("data", this.#take);
    if (secured.authorized) return;
    this.#refuse(0, {
      code: "certificate",
      reason: `node ${this.#options.self.node} does not accept the caller's certificate (${String(secured.authorizationError)}); have it signed by an authority in --peer-tls-ca there`,
    });
  }

  readonly #take = (chunk: Uint8Array): void => {
    if (this.#over) return;
    this.#reader.push(chunk);
    const read = this.#reader.next();
    switch (read.state) {
      case "more":
        return;
      case "version":
        this.#refuse(read.from, {
          code: "version",
          reason: `node ${read.from} speaks version ${read.version} of the protocol between nodes, node ${this.#options.self.node} version ${HANDSHAKE_VERSION}; run the same release on both`,
        });
        return;
      case "garbage":
        this.#strange(read.problem);
        return;
      case "message":
        this.#hear(read.message);
    }
  };

  #hear(message: HandshakeMessage): void {
    if (message.kind === "refusal" && this.#caller !== null) {
      this.#end({ kind: "refused-there", node: this.#caller.node, reason: message.reason });
    } else if (message.kind === "hello" && this.#caller === null) {
      this.#caller = message.identity;
      this.#verify(message.identity, message.to);
    } else if (message.kind === "confirm" && this.#caller !== null) {
      const caller = this.#caller;
      // Meanwhile the caller may have been removed, or another may have come in its name.
      this.#verifyAgain(caller);
    } else {
      this.#strange("a handshake out of turn");
    }
  }

  #verify(other: Identity, expected: NodeId): void {
    const { self, check } = this.#options;
    check(other, { expected, called: self.node }, (refusal) => {
      if (this.#over) return;
      if (refusal !== null) {
        this.#refuse(other.node, refusal);
        return;
      }
      const kind = dials(other, self) ? "link" : "knock";
      const message = { kind, to: other.node, identity: self } as const;
      this.#socket.write(encodeHandshake(message, self.node, other.node));
      if (kind === "knock") this.#end({ kind: "knocked", other });
    });
  }

  #verifyAgain(other: Identity): void {
    const { self, check } = this.#options;
    check(other, { expected: self.node, called: self.node }, (refusal) => {
      if (this.#over) return;
      if (refusal === null) this.#handOver(other);
      else this.#refuse(other.node, refusal);
    });
  }

  #handOver(other: Identity): void {
    this.#over = true;
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    socket.off("data", this.#take).off("error", this.#gone).off("close", this.#gone);
    this.#done({ kind: "linked", socket, other, rest: this.#reader.rest() });
  }

  #refuse(node: NodeId, refusal: Refusal): void {
    if (this.#over) return;
    this.#socket.write(this.#refusalBytes(refusal, node));
    this.#end({ kind: "refused-here", node, refusal });
  }

  #refusalBytes(refusal: Refusal, to: NodeId): Uint8Array {
    return encodeHandshake({ kind: "refusal", ...refusal }, this.#options.self.node, to);
  }

  #strange(what: string): void {
    if (this.#over) return;
    // A Redis client that has the wrong port shows this to its user.
    this.#socket.write(
      "-ERR this port is for other Paxlock nodes; connect to the one of --port\r\n",
    );
    this.#end({ kind: "strange", problem: `sent ${what} instead of a handshake` });
  }

  readonly #gone = (): void => {
    if (!this.#heard || this.#caller !== null) this.#end({ kind: "silent" });
    else this.#end({ kind: "strange", problem: "left during the handshake" });
  };

  #timedOut(): void {
    const seconds = this.#options.handshakeMs / 1000;
    const problem = `did not finish the handshake within ${seconds} s`;
    this.#end({ kind: "strange", problem });
    this.#carrier.destroy();
  }

  #end(outcome: AnswerOutcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    // What was said last still leaves, unless the other side does not take it.
    socket.end();
    const carrier = this.#carrier;
    const timer = setTimeout(() => {
      carrier.destroy();
    }, this.#options.handshakeMs);
    carrier.once("close", () => {
      clearTimeout(timer);
    });
    // Nobody listens any more, but what still comes must be read away for the end to be seen.
    socket.off("data", this.#take).resume();
    this.#done(outcome);
  }
}

function plainOnly(self: NodeId): Refusal {
  return {
    code: "tls",
    reason: `the caller speaks TLS and node ${self} does not; give all nodes --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or none of them`,
  };
}

/** Puts TLS on connections, and asks for the other side's certificate. */
export class TlsGate {
  readonly #server: TlsServer;
  readonly #current: () => TlsMaterial;
  #material: TlsMaterial;
  readonly #waiting = new Map<string, (secured: TLSSocket | string) => void>();

  /** `current` gives what to present; another object when it has changed. */
  constructor(current: () => TlsMaterial) {
    this.#current = current;
    this.#material = current();
    // Certificates are judged by the caller, who can tell the other side what is wrong.
    const options = { requestCert: true, rejectUnauthorized: false } as const;
    this.#server = createServer({ ...this.#material, ...options });
    this.#server.on("secureConnection", (socket) => {
      this.#settle(socket, socket);
    });
    this.#server.on("tlsClientError", (error, socket) => {
      const code = (error as { readonly code?: unknown }).code;
      this.#settle(socket, typeof code === "string" ? code : error.message);
      socket.destroy();
    });
  }

  /** What is to be presented now; renews what the server presents. */
  material(): TlsMaterial {
    const material = this.#current();
    if (material !== this.#material) {
      this.#material = material;
      this.#server.setSecureContext(material);
    }
    return material;
  }

  /** Begins TLS on a connection; `done` gets the secured one, or what went wrong. */
  accept(carrier: Socket, done: (secured: TLSSocket | string) => void): void {
    this.material();
    const key = keyOf(carrier);
    this.#waiting.set(key, done);
    carrier.once("close", () => {
      if (this.#waiting.get(key) === done) this.#waiting.delete(key);
    });
    this.#server.emit("connection", carrier);
  }

  #settle(socket: TLSSocket, result: TLSSocket | string): void {
    const key = keyOf(socket);
    const done = this.#waiting.get(key);
    this.#waiting.delete(key);
    if (done !== undefined) done(result);
    else socket.destroy();
  }
}

/** The server's events name the secured connection only; both have the same ends. */
function keyOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ""} ${socket.remotePort ?? 0}`;
}
