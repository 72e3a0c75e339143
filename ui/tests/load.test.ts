import { describe, expect, it } from "vitest";
import { bars, rows, scale, STEPS, summary } from "../src/lib/load";

describe("the load strip", () => {
  it("scales to the smallest top that holds every value", () => {
    expect([[], [3], [10], [10.1], [46], [51], [140]].map(scale)).toEqual([10, 10, 10, 25, 50, 100, 100]);
  });

  it("keeps the newest value at the right edge", () => {
    expect(bars([5, 10])).toEqual([
      { x: STEPS - 2, height: 0.5 },
      { x: STEPS - 1, height: 1 },
    ]);
    expect(bars(Array.from({ length: 90 }, () => 1))).toHaveLength(STEPS);
  });

  it("draws nothing for no load, and something for a little", () => {
    const [none, little] = bars([0, 0.01, 100]);
    expect(none?.height).toBe(0);
    expect(little?.height).toBeGreaterThan(0.01);
  });

  it("says the same in words and rows", () => {
    expect(summary([])).toEqual({ highest: 0, average: 0 });
    expect(summary([0, 30, 60])).toEqual({ highest: 60, average: 30 });
    expect(rows([1, 2], 1000)).toEqual([
      { at: 1000, value: 2 },
      { at: 995, value: 1 },
    ]);
  });
});
