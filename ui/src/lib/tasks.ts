// The running tasks as people count them: by job.
import type { WorkerView } from "./bindings";

export type JobRun = {
  job: string;
  /** The task's number for people, from 1, when it is the only one of its job. */
  only: number | null;
  count: number;
  cpuSeconds: number;
  /** None of its tasks may use the processor now. */
  held: boolean;
};

/** One row for each job, in the order in which their first tasks started. */
export function byJob(workers: readonly WorkerView[]): JobRun[] {
  const jobs = new Map<string, WorkerView[]>();
  for (const worker of workers) jobs.set(worker.job_name, [...(jobs.get(worker.job_name) ?? []), worker]);
  return [...jobs].map(([job, of]) => ({
    job,
    only: of.length === 1 && of[0] !== undefined ? of[0].index + 1 : null,
    count: of.length,
    cpuSeconds: of.reduce((sum, worker) => sum + worker.cpu_ms, 0) / 1000,
    held: of.every((worker) => worker.share === 0),
  }));
}
