// What each reason code says to the owner. The map is exhaustive: a new code in the engine does not compile here until it has words.
import type { Reason, ReasonCode, Snapshot } from "./bindings";
import { clock, duration } from "./format";
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

type Rule = { tone: Tone; title: Key; detail: (reason: Reason, snapshot: Snapshot, say: Say) => string; remedy: boolean };

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
  presence_unknown: { tone: "attention", title: "reason.presence_unknown", detail: found, remedy: true },
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

/** The engine's fragment as a sentence: capital first, full stop last. */
function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(capital) ? capital : `${capital}.`;
}
