// The load strip's numbers: which bars, on what scale, and what they amount to in words.

/** Seconds between two values of `load_history`, and how many make the strip. */
export const STEP_SECONDS = 5;
export const STEPS = 60;

const SCALES = [10, 25, 50, 100] as const;

/** The smallest scale that holds every value, so that a light load on a large machine stays readable. */
export function scale(values: readonly number[]): number {
  const highest = Math.max(0, ...values);
  return SCALES.find((top) => highest <= top) ?? 100;
}

export type Bar = { x: number; height: number };

/** Bars of a strip `STEPS` wide and 1 high, the newest at the right edge. A load above zero stays visible. */
export function bars(values: readonly number[]): Bar[] {
  const shown = values.slice(-STEPS);
  const top = scale(shown);
  return shown.map((value, i) => ({
    x: STEPS - shown.length + i,
    height: value > 0 ? Math.max(0.02, Math.min(1, value / top)) : 0,
  }));
}

export function summary(values: readonly number[]): { highest: number; average: number } {
  if (values.length === 0) return { highest: 0, average: 0 };
  const total = values.reduce((sum, value) => sum + value, 0);
  return { highest: Math.max(...values), average: total / values.length };
}

/** Each value with the unix second it was kept at, newest first. */
export function rows(values: readonly number[], now: number): { at: number; value: number }[] {
  const newest = values.length - 1;
  return values.map((value, i) => ({ at: now - (newest - i) * STEP_SECONDS, value })).reverse();
}
