/** Why a data folder cannot be opened: conditions that an operator can do something about. */

/** What is wrong with the folder. */
export type StorageOpenCode =
  /** Another running process has it open. */
  | "locked"
  /** It cannot be created, read or written. */
  | "unwritable"
  /** It holds something else than Paxlock's data. */
  | "not-ours"
  /** A later version of Paxlock has written it. */
  | "newer-format"
  /** It belongs to another cluster than asked for. */
  | "other-cluster"
  /** It belongs to another node than asked for. */
  | "other-node"
  /** It has another number of groups than asked for. */
  | "other-groups"
  /** Its content is damaged. */
  | "corrupt";

/** A data folder that cannot be opened. The message is one line and says what to do. */
export class StorageOpenError extends Error {
  override readonly name = "StorageOpenError";
  readonly code: StorageOpenCode;

  constructor(code: StorageOpenCode, message: string) {
    super(message);
    this.code = code;
  }
}
