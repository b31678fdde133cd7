/** Names that clients give themselves: they are printed in CLIENT LIST, whose words spaces part. */
import type { ErrorReply } from "../base/reply.ts";
import { errorReply } from "../base/reply.ts";

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
  if (isPrintable(name)) return null;
  return errorReply("ERR Client names cannot contain spaces, newlines or special characters.");
}
