/**
 * What a machine's control socket answers: its own node and, on a master, the store's thread as one. Faults name machines,
 * so both nodes obey; the tree shows both; status sums up.
 */
import type { ActorSystem, TreeNode } from '../actors/runtime/index.js';
import type { ApiStore, StoreHealth, StoreStatus } from '../actors/store/index.js';
import { type ControlHandlers, nodeControl } from './node-control.js';
import type { StoreThread } from './store-thread.js';

export interface MachineStatusReport {
  readonly memoryMiB: number;
  /** Components that this machine runs as their elected leader. */
  readonly leads: readonly string[];
  readonly store?: StoreStatus;
  /** Of an etcd cluster, as this master sees it. */
  readonly externalStore?: StoreHealth | { readonly error: string };
  /** Ids of the fault rules in force. */
  readonly faults: readonly string[];
}

/** `store`: the thread of this machine's member; `external`: what its apiserver uses instead. */
export function machineControl(
  system: ActorSystem,
  store: StoreThread | undefined,
  external?: ApiStore,
): ControlHandlers {
  const own = nodeControl(system);
  const both =
    (method: 'fault.add' | 'fault.remove' | 'fault.clear' | 'journal.flush') => async (params: unknown) => {
      await store?.call(method, params);
      return own[method](params);
    };
  return {
    'fault.add': both('fault.add'),
    'fault.remove': both('fault.remove'),
    'fault.clear': both('fault.clear'),
    'fault.list': own['fault.list'],
    'journal.flush': both('journal.flush'),
    tree: async () => ({ tree: [...system.tree(), ...(await storeTree(store))] }),
    crash: async (params) => {
      const { path } = params as { path?: unknown };
      return store && path === '/store' ? store.call('crash', params) : own.crash(params);
    },
    status: async () => status(system, store, external),
    ...(store && {
      'store.transfer': (params: unknown) => store.call('transfer', params),
      'store.tune': (params: unknown) => store.call('tune', params),
    }),
  };
}

async function status(
  system: ActorSystem,
  store: StoreThread | undefined,
  external: ApiStore | undefined,
): Promise<MachineStatusReport> {
  return {
    memoryMiB: Math.round(process.memoryUsage.rss() / (1 << 20)),
    leads: system
      .tree()
      .filter((node) => isElected(node))
      .map((node) => node.path.slice(1)),
    ...(store && { store: (await store.call('status', {})) as StoreStatus }),
    ...(external && { externalStore: await healthOf(external) }),
    faults: system.faults.rules.map((rule) => rule.id),
  };
}

async function healthOf(store: ApiStore): Promise<NonNullable<MachineStatusReport['externalStore']>> {
  try {
    return await store.status({ timeoutMs: 2_000 });
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

/** An elector runs what it elects below itself, and only while it leads. */
function isElected(node: TreeNode): boolean {
  return /^\/kube-(scheduler|controller-manager)$/.test(node.path) && node.children.length > 0;
}

async function storeTree(store: StoreThread | undefined): Promise<readonly TreeNode[]> {
  if (!store) return [];
  const { tree } = (await store.call('tree', {})) as { tree: readonly TreeNode[] };
  return tree;
}
