// All networks together, as Home shows them.
import type { Earnings, NetworkView } from "./bindings";
import { sum } from "./format";

export function earnings(networks: readonly NetworkView[]): Earnings {
  const money = (state: "awaiting" | "validated" | "settled" | "today") => sum(...networks.map((it) => it.earnings[state]));
  const tasks = (verdict: "tasks_accepted" | "tasks_rejected") =>
    networks.reduce((total, it) => total + it.earnings[verdict], 0);
  return {
    awaiting: money("awaiting"),
    validated: money("validated"),
    settled: money("settled"),
    today: money("today"),
    tasks_accepted: tasks("tasks_accepted"),
    tasks_rejected: tasks("tasks_rejected"),
  };
}

export function undelivered(networks: readonly NetworkView[]): number {
  return networks.reduce((total, it) => total + it.undelivered, 0);
}
