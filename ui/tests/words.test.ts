import { describe, expect, it } from "vitest";
import { snapshot as scene } from "../src/lib/backend/fake";
import type { Reason, Snapshot } from "../src/lib/bindings";
import { speak } from "../src/lib/messages";
import { detail, headline, remedy } from "../src/lib/words";
import cases from "./words.cases.json";

type Said = { headline?: string; detail?: string[]; remedy?: string[] };
type Case = { about: string; snapshot: object; en?: Said; de?: Said };

const reason = (values: object): Reason =>
  ({ case: null, measure: null, subject: null, said: null, until: null, setting: null, ...values }) as Reason;

function whole(part: object): Snapshot {
  const none = { workers: [], notices: [], finishing: false, reasons: [] };
  const snapshot: Snapshot = { ...scene("held"), ...none, ...part };
  return { ...snapshot, reasons: snapshot.reasons.map(reason) };
}

// Held to the same cases in crates/client/src/words/tests.rs: both must say the same of the same state.
describe("the window says what tray and CLI say", () => {
  it.each(cases as Case[])("of $about", ({ snapshot: part, en, de }) => {
    const snapshot = whole(part);
    for (const [language, expected] of Object.entries({ en, de })) {
      const say = speak([language]);
      const said = {
        headline: headline(snapshot, say),
        detail: snapshot.reasons.map((it) => detail(it, say)),
        remedy: snapshot.reasons.map((it) => remedy(it, say)),
      };
      expect(said).toMatchObject(expected ?? {});
    }
  });
});
