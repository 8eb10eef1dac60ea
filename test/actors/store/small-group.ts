/** Three store members in a simulated world, which tests look into, break, pause and give other clocks. */
import { strict as assert } from 'node:assert';
import { KvError, type LeaseId, type Op, type RaftLimits, type TxnOp } from 'raft-consensus';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import {
  createStoreClient,
  type GuardedStoreClient,
  type MemberParts,
  openDiskStorage,
  StoreError,
  type StoreLimits,
  storeMember,
  type StoreMessage,
} from '../../../actors/store/index.js';
import { type Death, nodeId } from '../../../transport/index.js';
import { SimWorld } from '../../sim/world.js';

export interface SmallGroupOptions {
  readonly members?: readonly string[];
  readonly store?: Partial<StoreLimits>;
  readonly raft?: Partial<RaftLimits>;
  /** At each start of a member. */
  inspect?(name: string, parts: MemberParts): void;
}

export class SmallGroup {
  readonly world: SimWorld;
  readonly names: readonly string[];
  readonly refs: readonly { readonly name: string; readonly ref: ReturnType<typeof storeRef> }[];
  readonly client: GuardedStoreClient;
  /** Of the members, as they were last started. */
  readonly systems = new Map<string, RunningActorSystem>();
  readonly parts = new Map<string, MemberParts>();
  /** Members that ended themselves, and why. */
  readonly ended = new Map<string, unknown>();
  readonly #options: SmallGroupOptions;

  constructor(seed: string, options: SmallGroupOptions = {}) {
    this.#options = options;
    this.world = new SimWorld(seed);
    this.names = options.members ?? ['m1', 'm2', 'm3'];
    this.refs = this.names.map((name) => ({ name, ref: storeRef(name) }));
    for (const name of this.names) this.start(name);
    const system = this.world.system(nodeId('client'));
    this.client = createStoreClient({ system, members: this.refs });
  }

  get nowMs(): number {
    return this.world.simulation.nowMs;
  }

  start(name: string): void {
    const system = this.world.system(nodeId(name));
    this.systems.set(name, system);
    system.spawn(
      storeMember({
        name,
        members: this.refs,
        openStorage: async () => openDiskStorage(await system.env.disk('raft'), 'test-group', name),
        limits: { store: this.#options.store ?? {}, raft: this.#options.raft ?? {} },
        onFatal: (error) => {
          if (this.ended.has(name)) return;
          this.ended.set(name, error);
          this.kill(name);
        },
        inspect: (parts) => {
          this.parts.set(name, parts);
          this.#options.inspect?.(name, parts);
        },
      }),
    );
  }

  kill(name: string, death?: Death): void {
    this.parts.delete(name);
    this.world.kill(nodeId(name), death);
  }

  /** A client that knows this member only. */
  clientOf(name: string): GuardedStoreClient {
    const system = this.world.system(nodeId(`client-${name}`));
    return createStoreClient({ system, members: this.refs.filter((one) => one.name === name) });
  }

  async leader(): Promise<string> {
    const find = () => [...this.parts].find(([, { raft }]) => raft.isLeader())?.[0];
    await this.world.run(() => find() !== undefined);
    return find()!;
  }

  do<T>(request: Promise<T>): Promise<T> {
    return this.world.settled(request);
  }

  put(key: string, value = '', lease?: LeaseId) {
    return this.do(this.client.txn(put(key, value, lease)));
  }

  async has(key: string): Promise<boolean> {
    return (await this.do(this.client.range({ type: 'range', key }))).result.count === 1;
  }

  /** The code with which the state machine refuses. */
  async refusal(request: Promise<unknown>): Promise<string> {
    const error = await this.do(
      request.then(
        () => assert.fail('not refused'),
        (e: unknown) => e,
      ),
    );
    assert(error instanceof StoreError && error.code === 'Refused' && error.definite, String(error));
    assert(error.cause instanceof KvError);
    return error.cause.code;
  }

  /** How many letters of that kind have left so far. */
  sent(kind: string): number {
    const events = this.world.journal.events();
    return events.filter((event) => event.type === 'send' && event.kind === kind).length;
  }

  wait(ms: number): Promise<void> {
    return this.world.pass(ms);
  }
}

export function txn(...success: readonly Op[]): TxnOp {
  return { type: 'txn', compare: [], success, failure: [] };
}

export function put(key: string, value = '', lease?: LeaseId): TxnOp {
  const op = { type: 'put', key, value: Buffer.from(value) } as const;
  return txn(lease === undefined ? op : { ...op, lease });
}

function storeRef(name: string) {
  return actorRef<StoreMessage>(nodeId(name), '/store');
}
