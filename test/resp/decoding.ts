/** Feeds a decoder and gathers what comes out, the way a connection would. */
import { RequestDecoder, defaultDecoderLimits } from "../../src/resp/decoder.ts";
import type { DecoderLimits } from "../../src/resp/decoder.ts";

export interface Decoded {
  readonly commands: string[][];
  readonly error: string | null;
}

export function decoder(
  limits: Partial<DecoderLimits> = {},
  { authenticated = true }: { readonly authenticated?: boolean } = {},
): RequestDecoder {
  return new RequestDecoder({ ...defaultDecoderLimits(), ...limits }, { authenticated });
}

/**
 * Feeds `bytes` cut at `cuts` and gives all commands. Each chunk is a copy that is overwritten once
 * the decoder has asked for more, so that a decoder that still reads from it is found out.
 */
export function decode(
  subject: RequestDecoder,
  bytes: string,
  cuts: readonly number[] = [],
): Decoded {
  const commands: string[][] = [];
  const borders = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  for (const [index, to] of borders.entries()) {
    const chunk = Buffer.from(bytes.slice(borders[index - 1] ?? 0, to), "latin1");
    subject.feed(chunk);
    commands.push(...drain(subject));
    chunk.fill("$");
  }
  return { commands, error: subject.error };
}

/** All commands that are complete. */
export function drain(subject: RequestDecoder): string[][] {
  const commands: string[][] = [];
  for (let args = subject.next(); args !== null; args = subject.next()) commands.push(args);
  return commands;
}

/** A cut after every byte. */
export function everyCut(bytes: string): number[] {
  return Array.from({ length: bytes.length }, (_, index) => index);
}
