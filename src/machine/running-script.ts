/** The host of one running script: what its commands mean in this group. */
import type { Reply } from "../base/reply.ts";
import { OK } from "../base/reply.ts";
import {
  FOREIGN_KEY,
  NOT_FROM_SCRIPT,
  WHOLE_KEYSPACE,
  WRITE_IN_READ_ONLY_SCRIPT,
} from "./errors.ts";
import type { KeyspaceOperation } from "./execute.ts";
import { execute } from "./execute.ts";
import { valueOf } from "./keyspace/string-operations.ts";
import type { Keyspace } from "./keyspace/keyspace.ts";
import type { Operation } from "./operation.ts";
import { isWrite } from "./operation.ts";
import type { Publications } from "./publications.ts";
import type { DirectCommands, ScriptCommands, ScriptHost } from "./script/port.ts";
import { accessOf } from "./script-access.ts";

/** What scripts of one group run with. */
export interface ScriptEnvironment {
  readonly commands: ScriptCommands;
  readonly owns: (key: string) => boolean;
  /** The group is the only one, so that its keys are all keys. */
  readonly ownsEverything: boolean;
}

export class RunningScript implements ScriptHost, DirectCommands {
  readonly #keyspace: Keyspace;
  readonly #environment: ScriptEnvironment;
  readonly #publications: Publications;
  #readOnly: boolean;
  /** SELECT in a script is over when the script is. */
  #db: number;

  constructor(
    effects: { readonly keyspace: Keyspace; readonly publications: Publications },
    environment: ScriptEnvironment,
    script: { readonly db: number; readonly readOnly: boolean },
  ) {
    this.#keyspace = effects.keyspace;
    this.#publications = effects.publications;
    this.#environment = environment;
    this.#db = script.db;
    this.#readOnly = script.readOnly;
  }

  call(args: readonly string[]): Reply {
    const command = this.#environment.commands.parse(args, this.#db);
    switch (command.kind) {
      case "reply":
        // As in Redis, what may not write at all is not told what else is wrong.
        return this.#readOnly && command.write === true ? WRITE_IN_READ_ONLY_SCRIPT : command.reply;
      case "select":
        this.#db = command.db;
        return OK;
      case "time":
        return timeOf(this.#keyspace.wallMs);
      case "publish":
        // As in Redis. A read is run by one node alone, so nobody else would hear of it.
        if (this.#readOnly) return WRITE_IN_READ_ONLY_SCRIPT;
        return this.#publications.add(command.channel, command.message);
      case "operation":
        if (this.#readOnly && (command.write || isWrite(command.operation))) {
          return WRITE_IN_READ_ONLY_SCRIPT;
        }
        return command.finish === undefined
          ? this.#run(command.operation)
          : command.finish(this.#run(command.operation));
    }
  }

  forbidWrites(): void {
    this.#readOnly = true;
  }

  /** The short cuts: `call` without an argument array, for scripts that run natively. */
  get direct(): DirectCommands {
    return this;
  }

  get(key: string): Reply {
    if (!this.#environment.owns(key)) return FOREIGN_KEY;
    return valueOf(this.#keyspace.look(this.#db, key));
  }

  delete(key: string): Reply {
    return this.#write({ kind: "delete", db: this.#db, keys: [key] });
  }

  exists(key: string): Reply {
    if (!this.#environment.owns(key)) return FOREIGN_KEY;
    return this.#keyspace.look(this.#db, key) === null ? 0 : 1;
  }

  setFor(key: string, value: string, milliseconds: number): Reply {
    return this.#write({
      kind: "set",
      db: this.#db,
      key,
      value,
      when: "always",
      compare: "",
      expireMode: "after",
      expireMs: milliseconds,
      answer: "status",
    });
  }

  expireAfter(key: string, milliseconds: number): Reply {
    return this.#write({
      kind: "expire",
      db: this.#db,
      key,
      expireMode: "after",
      expireMs: milliseconds,
      condition: "always",
    });
  }

  timeToLive(key: string): Reply {
    return this.#run({ kind: "ttl", db: this.#db, key, unit: "ms", absolute: false });
  }

  #write(operation: Operation): Reply {
    return this.#readOnly ? WRITE_IN_READ_ONLY_SCRIPT : this.#run(operation);
  }

  #run(operation: Operation): Reply {
    switch (accessOf(operation, this.#environment.owns)) {
      case "foreign":
        return FOREIGN_KEY;
      case "everything":
        // A part of the answer, or of the effect, would be a lie: refuse what would be partial.
        if (!this.#environment.ownsEverything) return WHOLE_KEYSPACE;
        break;
      case "forbidden":
        return NOT_FROM_SCRIPT;
      case "own":
        break;
    }
    if (
      operation.kind === "eval" ||
      operation.kind === "script-load" ||
      operation.kind === "script-flush"
    ) {
      return NOT_FROM_SCRIPT;
    }
    // There is no connection that it could end with, and nobody to come back for it.
    if (operation.kind === "lock-acquire" && (operation.bind || operation.async)) {
      return NOT_FROM_SCRIPT;
    }
    if (operation.kind === "lock-acquire-all" && (operation.bind || operation.provisional)) {
      return NOT_FROM_SCRIPT;
    }
    return execute(this.#keyspace, inScript(operation));
  }
}

/** Nobody waits in a script: what would wait is answered at once [L14]. */
function inScript<T extends KeyspaceOperation>(operation: T): KeyspaceOperation {
  if (operation.kind === "lock-acquire" || operation.kind === "lock-acquire-all") {
    return operation.waitMs === 0 ? operation : { ...operation, waitMs: 0 };
  }
  return operation;
}

/** TIME: seconds and microseconds of the entry's wall clock, so that replicas agree. */
function timeOf(wallMs: number): Reply {
  const seconds = Math.floor(wallMs / 1000);
  return [String(seconds), String((wallMs - seconds * 1000) * 1000)];
}
