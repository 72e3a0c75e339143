// What the window says while there is no news of the engine.
import type { Lost, LostCode, View } from "./backend";
import type { Say } from "./messages";
import { asSentence } from "./reasons";
import { firstFilled } from "./words";

/** `passes`: within moments, by itself. `start`: starting an engine may help. */
type Rule = { passes: boolean; start: boolean };

const passes: Rule = { passes: true, start: false };
const startable: Rule = { passes: false, start: true };
const stays: Rule = { passes: false, start: false };

const rules: Record<LostCode, Rule> = {
  connecting: passes,
  starting: passes,
  restarting: passes,
  stopping: passes,
  not_running: startable,
  stopped: startable,
  crashed: startable,
  cant_start: startable,
  no_program: startable,
  stuck: stays,
  untrusted: stays,
  refused: stays,
  incomprehensible: stays,
  no_home: stays,
};

export type LostExplanation = Rule & { title: string; detail: string; remedy: string };

export function explainLost({ code, said }: Lost, say: Say): LostExplanation {
  const values = { said: said ?? undefined };
  const words = (key: string) => firstFilled([key], values, say) ?? "";
  return {
    ...rules[code],
    title: words(`lost.${code}`),
    detail: asSentence(words(`lost.${code}.detail`)),
    remedy: words(`lost.${code}.remedy`),
  };
}

/** Why the last command was not obeyed. */
export function explainFailure({ code, said }: NonNullable<View["failure"]>, say: Say): string {
  return say.find(`failed.${code}`) ?? say("action.failed", { error: asSentence(said) });
}
