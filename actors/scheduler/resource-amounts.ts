/**
 * Amounts of resources in plain numbers, and what a pod asks for (KEP-753 sidecars, KEP-2837 pod-level
 * resources).
 */
import { quantityMilliValue, quantityValue } from '../objects/index.js';
import type { Container, PodSpec } from '../objects/types/core.js';

/** CPU in thousandths, everything else in whole units, by resource name. */
export type Amounts = ReadonlyMap<string, number>;

/** What a container that asks for nothing is taken to use when nodes are compared. */
const assumedCpuMillis = 100;
const assumedMemoryBytes = 200 * 1024 * 1024;

export function amountsOf(quantities: Readonly<Record<string, string>> | undefined): Map<string, number> {
  const amounts = new Map<string, number>();
  for (const [name, quantity] of Object.entries(quantities ?? {})) {
    amounts.set(name, name === 'cpu' ? quantityMilliValue(quantity) : quantityValue(quantity));
  }
  return amounts;
}

export function addTo(sum: Map<string, number>, amounts: Amounts, sign: 1 | -1 = 1): void {
  for (const [name, amount] of amounts) {
    const next = (sum.get(name) ?? 0) + sign * amount;
    if (next === 0) sum.delete(name);
    else sum.set(name, next);
  }
}

/** The most that the pod needs at any time of its life. Throws ObjectError on a bad quantity. */
export function podRequests(spec: PodSpec): Map<string, number> {
  return requests(spec, (container) => amountsOf(container.resources?.requests));
}

/** The same with a guess for containers that ask for no CPU or memory: for scores, not for fitting. */
export function podAssumedRequests(spec: PodSpec): Map<string, number> {
  return requests(spec, (container) => {
    const amounts = amountsOf(container.resources?.requests);
    if (!amounts.has('cpu')) amounts.set('cpu', assumedCpuMillis);
    if (!amounts.has('memory')) amounts.set('memory', assumedMemoryBytes);
    return amounts;
  });
}

function requests(spec: PodSpec, of: (container: Container) => Amounts): Map<string, number> {
  const running = new Map<string, number>();
  for (const container of spec.containers) addTo(running, of(container));
  const sidecars = new Map<string, number>();
  const starting = new Map<string, number>();
  for (const container of spec.initContainers ?? []) {
    const amounts = of(container);
    if (container.restartPolicy === 'Always') {
      addTo(running, amounts);
      addTo(sidecars, amounts);
      raiseTo(starting, sidecars);
    } else {
      const together = new Map(sidecars);
      addTo(together, amounts);
      raiseTo(starting, together);
    }
  }
  raiseTo(running, starting);
  // What the pod asks for as a whole replaces the sum of its containers.
  for (const [name, amount] of amountsOf(spec.resources?.requests)) running.set(name, amount);
  addTo(running, amountsOf(spec.overhead));
  return running;
}

function raiseTo(most: Map<string, number>, amounts: Amounts): void {
  for (const [name, amount] of amounts) most.set(name, Math.max(most.get(name) ?? 0, amount));
}
