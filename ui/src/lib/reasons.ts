// How much each reason asks of the owner. The map is exhaustive: a new code in the engine does not compile here until it
// has a tone. The words are in the table of messages.
import type { Reason, ReasonCode, Snapshot } from "./bindings";
import { clock } from "./format";
import type { Say } from "./messages";
import { detail, remedy } from "./words";

/**
 * `calm`: waiting is normal, and says enough. `passing`: something is wrong and ends by itself, which is said. `attention`:
 * only the owner can mend it.
 */
export type Tone = "calm" | "passing" | "attention";

const tones: Record<ReasonCode, Tone> = {
  starting: "calm",
  paused: "calm",
  finishing: "calm",
  outside_schedule: "calm",
  user_active: "calm",
  other_user: "calm",
  presence_unknown: "attention",
  disturbed: "calm",
  sensor_stale: "passing",
  full_screen: "calm",
  film: "calm",
  call: "calm",
  gamepad: "calm",
  excluded_program: "calm",
  on_battery: "calm",
  lid_shut: "calm",
  hot: "calm",
  other_load: "calm",
  memory_low: "calm",
  metered_network: "calm",
  settings_invalid: "attention",
  restart_needed: "attention",
  warm: "calm",
  no_temperature: "calm",
  no_work: "passing",
  coordinator_unreachable: "passing",
  coordinator_refused: "attention",
  disk_full: "attention",
  cache_unusable: "attention",
  home_unusable: "attention",
  worker_broken: "attention",
  sandbox_unavailable: "attention",
  not_set_up: "attention",
  setup_invalid: "attention",
  installation_broken: "attention",
  unknown: "attention",
};

export type Explanation = {
  code: ReasonCode;
  tone: Tone;
  title: string;
  /** The condition, with its value against the limit. */
  detail: string;
  /** What the owner can do; empty where waiting is all there is to do. */
  remedy: string;
};

export function explain(reason: Reason, snapshot: Snapshot, say: Say): Explanation {
  const tone = tones[reason.code] ?? "attention";
  return {
    code: reason.code,
    tone,
    title: say.find(`reason.${reason.code}`) ?? say("reason.unknown"),
    detail: reason.code === "paused" ? untilResumed(reason, snapshot, say) : asSentence(detail(reason, say)),
    remedy: tone === "calm" ? "" : asSentence(remedy(reason, say)),
  };
}

/** Whether the owner paused it, whatever else is true. */
export function isPaused(snapshot: Snapshot): boolean {
  return snapshot.state === "paused" || snapshot.reasons.some((reason) => reason.code === "paused");
}

/** Capital first, full stop last. */
export function asSentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}

function untilResumed(reason: Reason, snapshot: Snapshot, say: Say): string {
  if (reason.until === null) return say("hero.resumes_by_hand");
  return say("hero.resumes_at", { time: clock(reason.until, snapshot.at, say.locale) });
}
