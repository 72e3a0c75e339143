import { describe, expect, it } from "vitest";
import { scenes, snapshot, type SceneName } from "../src/lib/backend/fake";
import type { Reason, ReasonCode } from "../src/lib/bindings";
import { speak } from "../src/lib/messages";
import { explain, isPaused } from "../src/lib/reasons";

const english = speak(["en-GB"]);
const codes = Object.keys({
  paused: 0,
  finishing: 0,
  outside_schedule: 0,
  user_active: 0,
  other_user: 0,
  disturbed: 0,
  sensor_stale: 0,
  full_screen: 0,
  film: 0,
  call: 0,
  gamepad: 0,
  excluded_program: 0,
  on_battery: 0,
  lid_shut: 0,
  hot: 0,
  other_load: 0,
  memory_low: 0,
  metered_network: 0,
  settings_invalid: 0,
  restart_needed: 0,
  warm: 0,
  no_temperature: 0,
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
  measure: null,
  subject: null,
  until: null,
  setting: null,
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
    const tone = (code: ReasonCode) => explain(reason(code), snapshot("held"), english).tone;
    const calm = codes.filter((code) => tone(code) === "calm");
    expect(codes.filter((code) => tone(code) === "attention")).toEqual([
      "settings_invalid",
      "restart_needed",
      "presence_unknown",
      "coordinator_refused",
      "disk_full",
      "worker_broken",
      "not_set_up",
    ]);
    for (const code of codes) {
      const asks = explain(reason(code), snapshot("held"), english).remedy !== "";
      expect(asks, code).toBe(!calm.includes(code));
    }
  });

  it("tell the value, the limit and the program in the reader's own way", () => {
    const detail = (held: Reason, say = english) => explain(held, snapshot("held"), say).detail;
    const hot = reason("hot", { measure: { value: 88, limit: 67, unit: "celsius" } });
    expect(detail(hot)).toBe("Now 88 °C, and work starts at 67 °C.");
    const low = reason("memory_low", { measure: { value: 900, limit: 2600, unit: "mebibytes" } });
    expect(detail(low, speak(["de-DE"]))).toBe("Jetzt 900 MiB, die Arbeit beginnt bei 2.600 MiB.");
    expect(detail(reason("film", { subject: "mpv" }))).toBe("mpv is running. Work starts when this has ended.");
    const { at } = snapshot("held");
    expect(detail(reason("outside_schedule", { until: at + 60 }))).toMatch(/^Your schedule starts at \d\d:\d\d\.$/);
  });

  it("know a pause behind a graver reason", () => {
    const both = { ...snapshot("needs_you"), reasons: [reason("disk_full"), reason("paused")] };
    expect(isPaused(both)).toBe(true);
    expect(isPaused(snapshot("earning"))).toBe(false);
  });

  it("have a scene for every code", () => {
    const shown = (Object.keys(scenes) as SceneName[]).flatMap((name) => [...snapshot(name).reasons, ...snapshot(name).notices].map((r) => r.code));
    expect(codes.filter((code) => !shown.includes(code))).toEqual([]);
  });
});
