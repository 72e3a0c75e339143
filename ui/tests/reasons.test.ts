import { describe, expect, it } from "vitest";
import { scenes, snapshot, viewOf, type SceneName } from "../src/lib/backend/fake";
import type { LostCode } from "../src/lib/backend";
import type { Reason, ReasonCode } from "../src/lib/bindings";
import { explainLost } from "../src/lib/lost";
import { speak } from "../src/lib/messages";
import { explain, isPaused } from "../src/lib/reasons";

const english = speak(["en-GB"]);
const languages = [english, speak(["de"])];
const names = Object.keys(scenes) as SceneName[];

const codes = Object.keys({
  starting: 0,
  paused: 0,
  finishing: 0,
  outside_schedule: 0,
  user_active: 0,
  other_user: 0,
  presence_unknown: 0,
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
  no_work: 0,
  coordinator_unreachable: 0,
  coordinator_refused: 0,
  disk_full: 0,
  cache_unusable: 0,
  home_unusable: 0,
  worker_broken: 0,
  sandbox_unavailable: 0,
  not_set_up: 0,
  setup_invalid: 0,
  installation_broken: 0,
  unknown: 0,
} satisfies Record<ReasonCode, 0>) as ReasonCode[];

const lostCodes = Object.keys({
  connecting: 0,
  starting: 0,
  restarting: 0,
  stopping: 0,
  not_running: 0,
  stopped: 0,
  crashed: 0,
  cant_start: 0,
  no_program: 0,
  stuck: 0,
  untrusted: 0,
  refused: 0,
  incomprehensible: 0,
  no_home: 0,
} satisfies Record<LostCode, 0>) as LostCode[];

const reason = (code: string, values: Partial<Reason> = {}): Reason => ({
  code: code as ReasonCode,
  case: null,
  measure: null,
  subject: null,
  said: null,
  until: null,
  setting: null,
  ...values,
});

describe("reasons", () => {
  it.each(codes)("%s has words in every language", (code) => {
    for (const say of languages) {
      const { title, detail } = explain(reason(code), snapshot("held"), say);
      for (const text of [title, detail]) {
        expect(text).not.toBe("");
        expect(text).not.toMatch(/[{}]|^reason\./);
      }
    }
  });

  it("tell the condition as a sentence, with its value against the limit", () => {
    const using = reason("user_active", { measure: { value: 30, limit: 180, unit: "seconds" } });
    expect(explain(using, snapshot("held"), english).detail).toBe("Last input 30 s ago; work starts after 3 min.");
  });

  it("tell when a pause ends", () => {
    const { at } = snapshot("paused");
    const detail = explain(reason("paused", { until: at + 60 }), snapshot("paused"), english).detail;
    expect(detail).toMatch(/^Resumes at \d\d:\d\d\.$/);
    expect(explain(reason("paused"), snapshot("paused"), english).detail).toBe("Nothing runs until you resume.");
  });

  it("ask for attention only where waiting does not help, and say what to do unless waiting is normal", () => {
    const explained = codes.map((code) => explain(reason(code), snapshot("held"), english));
    expect(explained.filter(({ tone }) => tone === "attention").map(({ code }) => code)).toEqual([
      "presence_unknown",
      "settings_invalid",
      "restart_needed",
      "coordinator_refused",
      "disk_full",
      "cache_unusable",
      "home_unusable",
      "worker_broken",
      "sandbox_unavailable",
      "not_set_up",
      "setup_invalid",
      "installation_broken",
      "unknown",
    ]);
    for (const { code, tone, remedy } of explained) expect(remedy !== "", code).toBe(tone !== "calm");
  });

  it("of a newer engine are told as such", () => {
    const { title, detail, tone } = explain(reason("full_moon", { case: "waxing" as never }), snapshot("held"), english);
    expect([title, tone]).toEqual(["A reason of a newer version", "attention"]);
    expect(detail).toMatch(/^This program is older than the engine/);
  });

  it("know a pause behind a graver reason", () => {
    const both = { ...snapshot("needs_you"), reasons: [reason("disk_full"), reason("paused")] };
    expect(isPaused(both)).toBe(true);
    expect(isPaused(snapshot("earning"))).toBe(false);
  });

  it("have a scene for every code", () => {
    const shown = names.flatMap((name) => [...snapshot(name).reasons, ...snapshot(name).notices].map((r) => r.code));
    expect(codes.filter((code) => !shown.includes(code))).toEqual([]);
  });
});

describe("an engine that tells nothing", () => {
  it.each(lostCodes)("%s has words in every language, with and without what was said", (code) => {
    for (const say of languages) {
      for (const said of [null, "permission denied"]) {
        const { title, detail, remedy } = explainLost({ code, said }, say);
        expect(title).not.toBe("");
        expect(detail).not.toBe("");
        expect(title + detail + remedy).not.toMatch(/[{}]/);
      }
    }
  });

  it("is told with what to do, unless it passes by itself or Start is all there is to do", () => {
    for (const code of lostCodes) {
      const { remedy, passes, start } = explainLost({ code, said: null }, english);
      expect(remedy !== "" || passes || start, code).toBe(true);
    }
  });

  it("has a scene for every code", () => {
    const shown = names.map((name) => viewOf(name).lost?.code);
    expect(lostCodes.filter((code) => !shown.includes(code))).toEqual([]);
  });
});
