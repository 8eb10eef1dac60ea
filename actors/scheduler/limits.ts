/** Every bound of the scheduler, units last; the numbers are kube-scheduler's unless said otherwise. */
export interface SchedulerLimits {
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** A pod that no event has woken is tried again after this long. */
  readonly unschedulableMaxMs: number;
  /** How often the queue looks for such pods. */
  readonly flushPeriodMs: number;
  /** Bindings under way at once; ours. */
  readonly bindingsMax: number;
  /** With so many nodes or fewer all of them are looked at. */
  readonly nodesToFindMin: number;
  /** Nodes on which preemption is tried out for one pod. */
  readonly preemptionCandidatesMax: number;
}

export const schedulerLimits: SchedulerLimits = {
  backoffMinMs: 1_000,
  backoffMaxMs: 10_000,
  unschedulableMaxMs: 300_000,
  flushPeriodMs: 30_000,
  bindingsMax: 64,
  nodesToFindMin: 100,
  preemptionCandidatesMax: 100,
};
