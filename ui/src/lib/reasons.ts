// What each reason code says to the owner. The map is exhaustive: a new code in the engine does not compile here until it has words.
import type { Measure, Reason, ReasonCode, Snapshot } from "./bindings";
import { clock, duration, number, percent } from "./format";
import type { Key, Say } from "./messages";

/** Expected holds are calm: waiting is normal. Attention is for what only the owner can mend. */
export type Tone = "calm" | "attention";

export type Explanation = {
  code: ReasonCode;
  tone: Tone;
  title: string;
  /** What happens next, or what the engine found; may be empty. */
  detail: string;
  /** What the owner can do; empty where waiting is all there is to do. */
  remedy: string;
};

type Detail = (reason: Reason, snapshot: Snapshot, say: Say) => string;
type Rule = { tone: Tone; title: Key; detail: Detail; remedy: boolean };

const calm = (title: Key, detail: Detail): Rule => ({ tone: "calm", title, detail, remedy: false });
const fixed = (key: Key): Detail => (_, __, say) => say(key);

const found = (reason: Reason) => sentence(reason.detail);

const rules: Record<ReasonCode, Rule> = {
  paused: { tone: "calm", title: "reason.paused", detail: untilResumed, remedy: false },
  user_active: {
    tone: "calm",
    title: "reason.user_active",
    detail: (_, { presence }, say) =>
      say("reason.user_active.detail", { after: duration(presence.idle_after_seconds) }),
    remedy: false,
  },
  finishing: calm("reason.finishing", fixed("reason.finishing.detail")),
  outside_schedule: calm("reason.outside_schedule", ({ until }, { at }, say) =>
    until === null
      ? say("reason.outside_schedule.never")
      : say("reason.outside_schedule.detail", { time: clock(until, at, say.locale) }),
  ),
  other_user: calm("reason.other_user", fixed("reason.other_user.detail")),
  disturbed: calm("reason.disturbed", fixed("reason.disturbed.detail")),
  sensor_stale: calm("reason.sensor_stale", fixed("reason.sensor_stale.detail")),
  full_screen: calm("reason.full_screen", program),
  film: calm("reason.film", program),
  call: calm("reason.call", program),
  gamepad: calm("reason.gamepad", fixed("reason.program.detail")),
  excluded_program: calm("reason.excluded_program", program),
  on_battery: calm("reason.on_battery", (reason, _, say) => measured(reason, say, "reason.on_battery.detail")),
  lid_shut: calm("reason.lid_shut", fixed("reason.lid_shut.detail")),
  hot: calm("reason.hot", (reason, _, say) => measured(reason, say, "reason.program.detail")),
  other_load: calm("reason.other_load", (reason, _, say) => measured(reason, say, "reason.program.detail")),
  memory_low: calm("reason.memory_low", (reason, _, say) => measured(reason, say, "reason.program.detail")),
  metered_network: calm("reason.metered_network", fixed("reason.metered_network.detail")),
  settings_invalid: { tone: "attention", title: "reason.settings_invalid", detail: found, remedy: true },
  restart_needed: { tone: "attention", title: "reason.restart_needed", detail: found, remedy: true },
  warm: calm("reason.warm", kept),
  no_temperature: calm("reason.no_temperature", kept),
  presence_unknown: { tone: "attention", title: "reason.presence_unknown", detail: found, remedy: true },
  starting: calm("reason.starting", fixed("reason.starting.detail")),
  no_work: {
    tone: "calm",
    title: "reason.no_work",
    detail: (_, __, say) => say("reason.no_work.detail"),
    remedy: false,
  },
  coordinator_unreachable: {
    tone: "calm",
    title: "reason.coordinator_unreachable",
    detail: (reason, _, say) => `${found(reason)} ${say("reason.coordinator_unreachable.detail")}`.trim(),
    remedy: false,
  },
  coordinator_refused: { tone: "attention", title: "reason.coordinator_refused", detail: found, remedy: true },
  disk_full: { tone: "attention", title: "reason.disk_full", detail: found, remedy: true },
  cache_unusable: { tone: "attention", title: "reason.cache_unusable", detail: found, remedy: true },
  worker_broken: { tone: "attention", title: "reason.worker_broken", detail: found, remedy: true },
  not_set_up: { tone: "attention", title: "reason.not_set_up", detail: found, remedy: true },
};

export function explain(reason: Reason, snapshot: Snapshot, say: Say): Explanation {
  const rule = rules[reason.code];
  return {
    code: reason.code,
    tone: rule.tone,
    title: say(rule.title),
    detail: rule.detail(reason, snapshot, say),
    remedy: rule.remedy ? sentence(reason.remedy) : "",
  };
}

/** Whether the owner paused it, whatever else is true. */
export function isPaused(snapshot: Snapshot): boolean {
  return snapshot.state === "paused" || snapshot.reasons.some((reason) => reason.code === "paused");
}

function untilResumed(reason: Reason, snapshot: Snapshot, say: Say): string {
  if (reason.until === null) return say("hero.resumes_by_hand");
  return say("hero.resumes_at", { time: clock(reason.until, snapshot.at, say.locale) });
}

/** The program that it is about, and that waiting is all. */
function program({ subject }: Reason, _: Snapshot, say: Say): string {
  const waits = say("reason.program.detail");
  return subject === null ? waits : `${say("reason.program", { program: subject })} ${waits}`;
}

/** The value now and the limit at which work starts; `otherwise` where they are no numbers. */
function measured({ measure }: Reason, say: Say, otherwise: Key): string {
  if (measure === null) return say(otherwise);
  return say("reason.measure", both(measure, say));
}

function kept({ measure, detail }: Reason, _: Snapshot, say: Say): string {
  return measure === null ? sentence(detail) : say("reason.kept", both(measure, say));
}

function both({ value, limit, unit }: Measure, say: Say): { value: string; limit: string } {
  const shown = {
    seconds: duration,
    percent: (percents: number) => percent(percents, say.locale),
    celsius: (degrees: number) => `${number(degrees, say.locale)} °C`,
    mebibytes: (mib: number) => `${number(mib, say.locale)} MiB`,
  }[unit];
  return { value: shown(value), limit: shown(limit) };
}

/** The engine's fragment as a sentence: capital first, full stop last. */
function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
