/** Names that clients give themselves: they are printed in CLIENT LIST, whose words spaces part. */
import { CLIENT_NAME_BYTES_MAX } from "../base/limits.ts";
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";
import { overLimit } from "./errors.ts";

/** Whether all bytes are printable ASCII without space. */
export function isPrintable(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 33 || code > 126) return false;
  }
  return true;
}

/** The error for a client name, or null for a good one; the empty name takes the name away. */
export function nameError(name: string): ErrorReply | null {
  const tooLong = nameLengthError(name);
  if (tooLong !== null || isPrintable(name)) return tooLong;
  return errorReply("ERR Client names cannot contain spaces, newlines or special characters.");
}

/** The error for a name of a client or of its library that is too long, or null. */
export function nameLengthError(name: string): ErrorReply | null {
  if (name.length <= CLIENT_NAME_BYTES_MAX) return null;
  return overLimit("a client name", name.length, CLIENT_NAME_BYTES_MAX);
}
