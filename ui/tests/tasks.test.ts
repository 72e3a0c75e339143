import { describe, expect, it } from "vitest";
import type { WorkerView } from "../src/lib/bindings";
import { byJob } from "../src/lib/tasks";

const worker = (job_name: string, index: number, cpu_ms: number, share = 1): WorkerView => ({
  pid: 1,
  lease: `${job_name}-${index}`,
  job_name,
  index,
  share,
  cpu_ms,
});

describe("running tasks", () => {
  it("are one row a job, with their processor time together", () => {
    expect(byJob([worker("render", 0, 1500), worker("align", 7, 400), worker("render", 4, 2500, 0)])).toEqual([
      { job: "render", only: null, count: 2, cpuSeconds: 4, held: false },
      { job: "align", only: 8, count: 1, cpuSeconds: 0.4, held: false },
    ]);
  });

  it("are held when none of them may run", () => {
    expect(byJob([worker("render", 0, 1, 0), worker("render", 1, 1, 0)])[0]?.held).toBe(true);
    expect(byJob([])).toEqual([]);
  });
});
