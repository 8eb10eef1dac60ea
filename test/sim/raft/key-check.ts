/** Is the history of every key linearizable, by the clients' answers alone? */
import type { History } from './history.js';
import { keyModel, operationsOn } from './key-model.js';
import { checkLinearizable } from './linearizability.js';
import { told } from './truth-check.js';

/** Returns for how many keys the search was given up. */
export function checkKeys(history: History, keys: number, fail: (message: string) => never): number {
  let undecided = 0;
  for (let at = 0; at < keys; at++) {
    const key = `/k${at}`;
    const verdict = checkLinearizable(keyModel, operationsOn(key, history.operations));
    if (verdict.type === 'unknown') undecided++;
    if (verdict.type !== 'violation') continue;
    const stuck = history.operations
      .filter(({ call }) => verdict.stuckAt.some((operation) => operation.call === call))
      .map(told);
    fail(`${key} is not linearizable: ${stuck.join('; ') || 'nothing can come next'}`);
  }
  return undecided;
}
