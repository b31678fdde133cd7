/**
 * Real clusters of three and five nodes under unmodified clients, while nodes are killed, stopped,
 * cut off, restarted, their wall clocks moved and their disks filled.
 *
 * `CHAOS_SEED=…` repeats a run; `CHAOS_MINUTES=…` goes on for longer, half of it with five nodes.
 * Needs Linux and the right to make namespaces. See `lab.ts` for where all this happens.
 */
import { missingPrograms } from "../support/programs.ts";
import { suite } from "../support/suite.ts";
import { inLab, LAB_PROGRAMS, runInLab } from "./lab.ts";

const missing = missingPrograms(LAB_PROGRAMS);

if (missing.length > 0) {
  suite("chaos", (test) => {
    test("the programs that the laboratory is built with are installed", () => {
      throw new Error(missing.join(", "));
    });
  });
} else if (inLab()) {
  await import("./chaos-rules.ts");
} else {
  await runInLab(import.meta.url);
}
