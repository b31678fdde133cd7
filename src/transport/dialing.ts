/** Calling another node: connection, TLS and the dialer's side of the handshake. */
import type { Socket } from "node:net";
import { connect, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { parseEndpoint, type Endpoint } from "../base/address.ts";
import { assert } from "../base/assert.ts";
import type { Millis, NodeId } from "../base/ids.ts";
import type { Identity, Refusal } from "./handshake.ts";
import { encodeHandshake, HANDSHAKE_VERSION, HandshakeReader } from "./handshake.ts";
import type { Lookup } from "./lookup.ts";
import type { TlsMaterial } from "./tls.ts";

/** Whether `other` is let in; `done` may be called later, when something had to be made durable. */
export type Check = (
  other: Identity,
  call: { readonly expected: NodeId; readonly called: NodeId },
  done: (refusal: Refusal | null) => void,
) => void;

export interface DialOptions {
  readonly self: Identity;
  readonly expected: NodeId;
  /** `host:port`. A host name is looked up now: after a restart it may have another address. */
  readonly address: string;
  readonly tls: TlsMaterial | null;
  readonly handshakeMs: Millis;
  readonly check: Check;
  readonly lookup: Lookup;
}

export type DialOutcome =
  /** `rest` is what came after the handshake. The socket has no listeners. */
  | {
      readonly kind: "linked";
      readonly socket: Socket;
      readonly other: Identity;
      readonly rest: Uint8Array;
    }
  /** The other node calls back. */
  | { readonly kind: "knocked" }
  | { readonly kind: "refused-there"; readonly reason: string }
  | { readonly kind: "refused-here"; readonly refusal: Refusal }
  /** Nobody answers, as while a node starts; `problem` says what is wrong and what to do. */
  | { readonly kind: "unreachable"; readonly problem: string }
  /** Somebody answers, but not as a node of this cluster should; `problem` continues its name. */
  | { readonly kind: "strange"; readonly problem: string };

const BOTH_TLS =
  "give all nodes --peer-tls-cert, --peer-tls-key and --peer-tls-ca, or none of them";

/** One call. `done` is called once, later, unless the call is aborted. */
export class Dial {
  readonly #options: DialOptions;
  readonly #done: (outcome: DialOutcome) => void;
  readonly #socket: Socket;
  readonly #endpoint: Endpoint;
  readonly #reader = new HandshakeReader();
  readonly #deadline: NodeJS.Timeout;
  #connected = false;
  #over = false;

  constructor(options: DialOptions, done: (outcome: DialOutcome) => void) {
    this.#options = options;
    this.#done = done;
    const parsed = parseEndpoint(options.address);
    assert(parsed.ok, "addresses of peers are checked where they come from");
    const { host, port } = parsed.endpoint;
    this.#endpoint = parsed.endpoint;
    const { tls } = options;
    const where = { host, port, noDelay: true, lookup: options.lookup };
    this.#socket =
      tls === null
        ? connect(where)
        : connectTls({ ...where, ...tls, ...(isIP(host) === 0 ? { servername: host } : {}) });
    this.#socket.once(tls === null ? "connect" : "secureConnect", () => {
      this.#connected = true;
      this.#say("hello");
    });
    this.#socket.on("data", this.#onData).on("error", this.#onError).on("close", this.#onClose);
    this.#deadline = setTimeout(() => {
      this.#end({ kind: "unreachable", problem: this.#timedOut() });
    }, options.handshakeMs);
  }

  /** Gives the call up; nothing is reported. */
  abort(): void {
    this.#over = true;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Uint8Array): void => {
    if (this.#over) return;
    this.#reader.push(chunk);
    this.#read();
  };

  readonly #onError = (error: Error): void => {
    this.#end(describeDialError(error, this.#endpoint));
  };

  readonly #onClose = (): void => {
    const problem =
      "it closed the connection during the handshake; it is starting, or its log says why";
    this.#end({ kind: "unreachable", problem });
  };

  #read(): void {
    const read = this.#reader.next();
    switch (read.state) {
      case "more":
        return;
      case "version":
        this.#end({
          kind: "strange",
          problem: `speaks version ${read.version} of the protocol between nodes, node ${this.#options.self.node} version ${HANDSHAKE_VERSION}; run the same release on both`,
        });
        return;
      case "garbage":
        this.#end({
          kind: "strange",
          problem: `does not answer as a Paxlock node (${read.problem}); give the node's port for other nodes in --peers, not the one for clients`,
        });
        return;
      case "message":
        break;
    }
    const { message } = read;
    switch (message.kind) {
      case "refusal":
        this.#end({ kind: "refused-there", reason: message.reason });
        return;
      case "link":
      case "knock":
        this.#verify(message.identity, message.kind);
        return;
      case "hello":
      case "confirm":
        this.#end({ kind: "strange", problem: "answers out of turn; is it Paxlock?" });
    }
  }

  #verify(other: Identity, kind: "link" | "knock"): void {
    const call = { expected: this.#options.expected, called: other.node };
    this.#options.check(other, call, (refusal) => {
      if (this.#over) return;
      if (refusal !== null) {
        this.#say("refusal", refusal);
        this.#end({ kind: "refused-here", refusal });
      } else if (kind === "knock") {
        this.#end({ kind: "knocked" });
      } else {
        this.#say("confirm");
        this.#handOver(other);
      }
    });
  }

  #say(kind: "hello" | "confirm" | "refusal", refusal?: Refusal): void {
    const { self, expected } = this.#options;
    if (kind === "hello") {
      const message = { kind, to: expected, identity: self } as const;
      this.#socket.write(encodeHandshake(message, self.node, expected));
    } else if (kind === "confirm") {
      this.#socket.write(encodeHandshake({ kind }, self.node, expected));
    } else if (refusal !== undefined) {
      this.#socket.write(encodeHandshake({ kind, ...refusal }, self.node, expected));
    }
  }

  #handOver(other: Identity): void {
    this.#over = true;
    clearTimeout(this.#deadline);
    const socket = this.#socket;
    socket.off("data", this.#onData).off("error", this.#onError).off("close", this.#onClose);
    this.#done({ kind: "linked", socket, other, rest: this.#reader.rest() });
  }

  #end(outcome: DialOutcome): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#deadline);
    // What was said last still leaves; the connection is gone after that in any case.
    this.#socket.destroySoon();
    this.#done(outcome);
  }

  #timedOut(): string {
    const seconds = this.#options.handshakeMs / 1000;
    return this.#connected
      ? `it takes connections but has not answered for ${seconds} s; is it overloaded, stopped, or no Paxlock node?`
      : `no answer for ${seconds} s; is its machine up, and does a firewall let port ${this.#endpoint.port} through?`;
  }
}

/** What an error before or in the handshake means. */
export function describeDialError(error: Error, { host, port }: Endpoint): DialOutcome {
  const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
  switch (code) {
    case "ECONNREFUSED":
      return unreachable("connection refused; is it running, and is its address in --peers right?");
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unreachable(`the name ${host} has no address (${code}); correct --peers, or the DNS`);
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
      return unreachable(
        `no way there (${code}); is its machine up, and does a firewall let port ${port} through?`,
      );
    case "ECONNRESET":
    case "EPIPE":
      return unreachable(
        "it reset the connection during the handshake; it is starting, or its log says why",
      );
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return strange(
        `has a certificate that is not for ${host}; make one that names it (subjectAltName)`,
      );
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return strange(
        `has a certificate that is not valid now (${code}); renew it, or set the clock`,
      );
    default:
      return describeTlsError(code);
  }
}

function describeTlsError(code: string): DialOutcome {
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST|EPROTO/.test(code)) {
    return strange(`does not speak TLS (${code}); ${BOTH_TLS}`);
  }
  if (/ALERT/.test(code)) {
    return strange(
      `does not accept the certificate of this node (${code}); have it signed by an authority in its --peer-tls-ca`,
    );
  }
  if (/^(UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|CERT_|INVALID_|CRL_|ERROR_IN_CERT)/.test(code)) {
    return strange(
      `has a certificate that no authority in --peer-tls-ca has signed (${code}); have it signed by one, or add its authority`,
    );
  }
  return unreachable(`${code}; is it running, and is its address in --peers right?`);
}

function unreachable(problem: string): DialOutcome {
  return { kind: "unreachable", problem };
}

function strange(problem: string): DialOutcome {
  return { kind: "strange", problem };
}
