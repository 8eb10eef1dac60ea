/** What can be asked of a running node through a control socket (or, for a store thread, through its port). */
import type { ActorSystem } from '../actors/runtime/index.js';
import type { Clock, FaultRule } from '../transport/index.js';

export type ControlHandlers = Record<string, (params: unknown) => Promise<unknown>>;

type NodeMethod =
  'fault.add' | 'fault.remove' | 'fault.clear' | 'fault.list' | 'tree' | 'crash' | 'journal.flush';

/** Faults, tree and crash of one actor system. */
export function nodeControl(
  system: ActorSystem,
  /** For faults that end by themselves. */
  clock: Clock = system.env.clock,
): Record<NodeMethod, ControlHandlers[string]> {
  const healTimers = new Map<string, { cancel(): void }>();
  const remove = (id: string): boolean => {
    healTimers.get(id)?.cancel();
    healTimers.delete(id);
    const removed = system.faults.remove(id);
    if (removed) system.note('/', 'fault healed', { rule: id });
    return removed;
  };
  return {
    'fault.add': async (params) => {
      const { rule, forMs } = params as { rule: unknown; forMs?: unknown };
      const checked = checkRule(rule);
      if (forMs !== undefined && !(typeof forMs === 'number' && forMs > 0))
        throw new TypeError('forMs must be positive');
      remove(checked.id);
      system.faults.add(checked);
      system.note('/', 'fault applied', { rule: checked.id, action: checked.action.type });
      if (typeof forMs === 'number') {
        healTimers.set(
          checked.id,
          clock.setTimer(forMs, () => remove(checked.id)),
        );
      }
      return {};
    },
    'fault.remove': async (params) => ({ removed: remove(String((params as { id?: unknown }).id)) }),
    'fault.clear': async () => {
      for (const rule of system.faults.rules) remove(rule.id);
      return {};
    },
    'fault.list': async () => ({ rules: system.faults.rules }),
    tree: async () => ({ tree: system.tree() }),
    crash: async (params) => {
      const path = (params as { path?: unknown }).path;
      if (typeof path !== 'string' || !path.startsWith('/'))
        throw new TypeError('path must be an actor path such as /kubelet');
      if (!system.crash(path, 'crashed on purpose'))
        throw new Error(`there is no actor ${path} on ${system.node}`);
      return {};
    },
    'journal.flush': async () => {
      await system.journal.flush();
      return {};
    },
  };
}

const actionTypes = ['cut', 'drop', 'delay', 'duplicate', 'reorder'];

function checkRule(value: unknown): FaultRule {
  const rule = value as Partial<FaultRule> | null;
  const names = (list: unknown) => Array.isArray(list) && list.every((name) => typeof name === 'string');
  if (typeof rule !== 'object' || rule === null) throw new TypeError('the rule must be an object');
  if (typeof rule.id !== 'string' || rule.id === '') throw new TypeError('the rule needs an id');
  if (!names(rule.from) || !names(rule.to))
    throw new TypeError('the rule needs lists of machines in from and to');
  if (rule.kinds !== undefined && !names(rule.kinds))
    throw new TypeError('kinds must be a list of message kinds');
  if (!actionTypes.includes(rule.action?.type as string)) {
    throw new TypeError(`the rule's action must be one of ${actionTypes.join(', ')}`);
  }
  for (const [field, number] of Object.entries(rule.action ?? {})) {
    if (field !== 'type' && !(typeof number === 'number' && number >= 0)) {
      throw new TypeError(`the rule's ${field} must be a number that is not negative`);
    }
  }
  return rule as FaultRule;
}
