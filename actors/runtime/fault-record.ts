/** Puts every change of a node's fault rules into its journal, so that cause stands beside effect (ARCHITECTURE rule 5). */
import type { FaultPolicy, FaultRule } from '../../transport/index.js';
import type { Recorder } from './recorder.js';

/** Returns the way to stop. */
export function recordFaults(policy: FaultPolicy, recorder: Recorder): () => void {
  let before: readonly FaultRule[] = policy.rules;
  for (const rule of before) recorder.fault('applied', rule);
  return policy.onChange(() => {
    const now = policy.rules;
    for (const rule of before) if (!now.includes(rule)) recorder.fault('healed', rule);
    for (const rule of now) if (!before.includes(rule)) recorder.fault('applied', rule);
    before = now;
  });
}
