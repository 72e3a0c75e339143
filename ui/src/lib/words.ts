// Sentences for what the engine says in codes and values: the same rule, over the same table, as crates/client/src/words.rs.
//
// A sentence is looked up by the code and its case: `detail.on_battery.charge_low`, else `detail.on_battery`. The first of
// these whose `{placeholders}` all have values is taken; `….bare` is the form without values.
import type { Measure, Reason, Snapshot } from "./bindings";
import type { Say } from "./messages";

type Values = Record<string, string | undefined>;

/** The one sentence that tray tooltip, window and CLI show, as of `snapshot.at`. */
export function headline(snapshot: Snapshot, say: Say): string {
  const running = snapshot.workers.filter((worker) => worker.share > 0).length;
  if (running > 0) return say.count(snapshot.finishing ? "headline.finishing" : "headline.earning", running);
  const first = snapshot.reasons[0];
  return first === undefined ? say("headline.ready") : sentence(first, snapshot, say);
}

/** What a reason means for work, as a whole sentence. */
export function sentence(reason: Reason, { at, finishing }: Snapshot, say: Say): string {
  const why = lookedUp("why", reason, at, say);
  if (why === undefined) return lookedUp("headline", reason, at, say) ?? say("headline.unknown");
  return say(finishing ? "headline.waiting_to_finish" : "headline.waiting", { why });
}

/** The condition, with its value against the limit. */
export function detail(reason: Reason, say: Say): string {
  return lookedUp("detail", reason, 0, say) ?? say("detail.unknown");
}

/** What the owner can do. */
export function remedy(reason: Reason, say: Say): string {
  return lookedUp("remedy", reason, 0, say) ?? say("remedy.unknown");
}

/** The first of these keys, each with its bare form, that has all its values; `undefined` where none has. */
export function firstFilled(keys: readonly string[], values: Values, say: Say): string | undefined {
  for (const key of keys.flatMap((key) => [key, `${key}.bare`])) {
    const filled = fill(say.find(key), values);
    if (filled !== undefined) return filled;
  }
  return undefined;
}

/** A time in the largest unit that says enough, rounded up: `2 h 5 min`, `25 min`, `40 s`. */
export function span(seconds: number, say: Say): string {
  const minutes = Math.ceil(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (seconds < 60) return say("unit.seconds", { n: String(seconds) });
  if (hours === 0) return say("unit.minutes", { n: String(minutes) });
  const whole = say("unit.hours", { n: String(hours) });
  return minutes % 60 === 0 ? whole : `${whole} ${say("unit.minutes", { n: String(minutes % 60) })}`;
}

function lookedUp(table: string, reason: Reason, now: number, say: Say): string | undefined {
  const key = `${table}.${reason.code}`;
  const keys = reason.case === null ? [key] : [`${key}.${reason.case}`, key];
  const { measure, until, subject, said } = reason;
  const values = {
    value: measure === null ? undefined : amount(measure.value, measure.unit, say),
    limit: measure === null ? undefined : amount(measure.limit, measure.unit, say),
    left: until === null ? undefined : span(Math.max(0, until - now), say),
    subject: subject ?? undefined,
    said: said ?? undefined,
  };
  return firstFilled(keys, values, say);
}

function amount(value: number, unit: Measure["unit"], say: Say): string {
  if (unit === "seconds") return span(Math.max(0, value), say);
  // A unit that only a newer engine knows is left out, and the number is shown.
  return fill(say.find(`unit.${unit}`), { n: String(value) }) ?? say("unit.unknown", { n: String(value) });
}

/** The text with its placeholders filled in, in one pass: a value that looks like a placeholder stays what it is. */
function fill(text: string | undefined, values: Values): string | undefined {
  let complete = text !== undefined;
  const filled = text?.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    complete &&= value !== undefined;
    return value ?? "";
  });
  return complete ? filled : undefined;
}
