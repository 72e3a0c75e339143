import { describe, expect, it } from "vitest";
import { scenes, snapshot, type SceneName } from "../src/lib/backend/fake";
import type { Reason, ReasonCode } from "../src/lib/bindings";
import { speak } from "../src/lib/messages";
import { explain, isPaused } from "../src/lib/reasons";

const english = speak(["en-GB"]);
const codes = Object.keys({
  paused: 0,
  user_active: 0,
  presence_unknown: 0,
  no_work: 0,
  coordinator_unreachable: 0,
  coordinator_refused: 0,
  disk_full: 0,
  worker_broken: 0,
  not_set_up: 0,
} satisfies Record<ReasonCode, 0>) as ReasonCode[];

const reason = (code: ReasonCode, rest: Partial<Reason> = {}): Reason => ({
  code,
  detail: "what was found",
  until: null,
  remedy: "what to do",
  ...rest,
});

describe("reasons", () => {
  it.each(codes)("%s has words in every language", (code) => {
    for (const say of [english, speak(["de"])]) {
      const { title, detail } = explain(reason(code), snapshot("held"), say);
      for (const text of [title, detail]) {
        expect(text).not.toBe("");
        expect(text).not.toMatch(/[{}]|reason\./);
      }
    }
  });

  it("tell when work starts again, from what is known of presence", () => {
    expect(explain(reason("user_active"), snapshot("held"), english).detail).toBe("Work starts 3 min after you stop.");
  });

  it("tell when a pause ends", () => {
    const { at } = snapshot("paused");
    const detail = explain(reason("paused", { until: at + 60 }), snapshot("paused"), english).detail;
    expect(detail).toMatch(/^Resumes at \d\d:\d\d\.$/);
    expect(explain(reason("paused"), snapshot("paused"), english).detail).toBe("Nothing runs until you resume.");
  });

  it("ask for attention, with the remedy, only where waiting does not help", () => {
    const calm = codes.filter((code) => explain(reason(code), snapshot("held"), english).tone === "calm");
    expect(calm).toEqual(["paused", "user_active", "no_work", "coordinator_unreachable"]);
    for (const code of codes) {
      const asks = explain(reason(code), snapshot("held"), english).remedy !== "";
      expect(asks, code).toBe(!calm.includes(code));
    }
  });

  it("know a pause behind a graver reason", () => {
    const both = { ...snapshot("needs_you"), reasons: [reason("disk_full"), reason("paused")] };
    expect(isPaused(both)).toBe(true);
    expect(isPaused(snapshot("earning"))).toBe(false);
  });

  it("have a scene for every code", () => {
    const shown = (Object.keys(scenes) as SceneName[]).flatMap((name) => snapshot(name).reasons.map((r) => r.code));
    expect(codes.filter((code) => !shown.includes(code))).toEqual([]);
  });
});
