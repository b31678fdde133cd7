/** The mutable state of one connection that commands see. */
import type { Session } from "../commands/contract.ts";
import type { LockSession } from "../replica/lock-session.ts";

export class ClientSession implements Session {
  readonly id: number;
  readonly address: string;
  readonly localAddress: string;
  readonly connectedAtMs: number;
  lastCommandAtMs: number;
  lastCommand = "";
  protocol: 2 | 3 = 2;
  db = 0;
  name = "";
  libraryName = "";
  libraryVersion = "";
  user = "default";
  authenticated: boolean;
  noEvict = false;
  noTouch = false;
  replyMode: "on" | "off" | "skip" = "on";
  /** In whose name it asks for locks; null before it does. */
  lockSession: LockSession | null = null;
  /** A command of it waits for others, see `Connection.block`. */
  blocked = false;
  channels = 0;
  patterns = 0;
  inputBytes = 0;
  outputBytes = 0;
  commandsProcessed = 0;

  constructor(options: {
    readonly id: number;
    readonly address: string;
    readonly localAddress: string;
    readonly connectedAtMs: number;
    readonly authenticated: boolean;
  }) {
    this.id = options.id;
    this.address = options.address;
    this.localAddress = options.localAddress;
    this.connectedAtMs = options.connectedAtMs;
    this.lastCommandAtMs = options.connectedAtMs;
    this.authenticated = options.authenticated;
  }
}
