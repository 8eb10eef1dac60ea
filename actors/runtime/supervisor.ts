/**
 * Supervision after Erlang/OTP's `supervisor`: ordered start, reverse-order stop, three strategies, restart
 * intensity, escalation. Beyond OTP: a restart waits for an exponential backoff with full jitter. A supervisor has
 * no mailbox; it is told of ends and acts. Restarts are runs that a later event overtakes: each run carries an
 * epoch and gives up when its epoch is over.
 */
import { strict as assert } from 'node:assert';
import type { Timer } from '../../transport/index.js';
import type { ChildSpec, StopReason, SupervisorSpec, TreeNode } from './actor.js';
import { Cell } from './cell.js';
import type { Host } from './host.js';
import { limits } from './limits.js';
import { type ActorRef, actorRef, type Message } from './ref.js';
import type { Supervised, SupervisedParent } from './supervised.js';

type Policy = Omit<SupervisorSpec, 'id' | 'children'>;

interface History {
  attempts: number;
  lastMs: number;
}

export class Supervisor implements Supervised, SupervisedParent {
  readonly id: string;
  readonly path: string;
  readonly restart = 'permanent';
  readonly #host: Host;
  readonly #policy: Policy;
  readonly #onEnd: (error: Error) => void;
  /** Children that were spawned by hand disappear when they end for good; declared ones stay in the tree. */
  readonly #dynamic: boolean;
  #declared: SupervisorSpec['children'] = [];
  #children: Supervised[] = [];
  #onEmpty: () => void = () => {};
  #state: TreeNode['state'] = 'starting';
  #alive = false;
  #stopping: Promise<void> | undefined;
  #starts = 0;
  /** When restarts happened, within the window. */
  #restartsMs: number[] = [];
  readonly #histories = new Map<Supervised, History>();
  readonly #epochs = new Map<Supervised, number>();
  /** What the current run over all or the rest of the children is going to start. */
  #toStart = new Set<Supervised>();
  readonly #sleeps = new Set<{ readonly timer: Timer; readonly wake: () => void }>();

  private constructor(
    host: Host,
    id: string,
    path: string,
    policy: Policy,
    dynamic: boolean,
    onEnd: (supervisor: Supervisor, error: Error) => void,
  ) {
    this.#host = host;
    this.id = id;
    this.path = path;
    this.#policy = policy;
    this.#dynamic = dynamic;
    this.#onEnd = (error) => onEnd(this, error);
  }

  /** A declared tree; every actor in it has its path and mailbox at once, before any of them starts. */
  static declared(
    host: Host,
    parent: SupervisedParent,
    parentPath: string,
    spec: SupervisorSpec,
  ): Supervisor {
    checkSpec(spec);
    const path = childPath(parentPath, spec.id);
    const supervisor = new Supervisor(host, spec.id, path, spec, false, (self, error) =>
      parent.ended(self, 'crash', error),
    );
    supervisor.#declared = spec.children;
    supervisor.#completeChildren();
    return supervisor;
  }

  /** Supervises what is spawned by hand under `path`, one for one; always alive. */
  static family(
    host: Host,
    path: string,
    { onFailed, onEmpty }: { onFailed(error: Error): void; onEmpty(): void },
  ): Supervisor {
    const policy = { strategy: 'one-for-one', ...limits.implicitSupervision } as const;
    const id = path.slice(path.lastIndexOf('/') + 1);
    const family = new Supervisor(host, id, path, policy, true, (_, error) => onFailed(error));
    family.#onEmpty = onEmpty;
    family.#alive = true;
    family.#state = 'running';
    return family;
  }

  get alive(): boolean {
    return this.#alive;
  }

  spawn<C extends Message>(spec: ChildSpec<C>): ActorRef<C> {
    assert(
      this.#dynamic && this.#alive && !this.#stopping,
      `${this.path} is stopping, cannot spawn ${spec.id}`,
    );
    const path = childPath(this.path, spec.id);
    const cell = new Cell(this.#host, this, path, spec as unknown as ChildSpec<never>);
    this.#children.push(cell);
    void cell.start();
    return actorRef(this.#host.system.node, path);
  }

  /** A declared tree below a family; when it gives up it is gone, and whoever started it decides. */
  supervise(spec: SupervisorSpec, failed: (error: Error) => void): { stop(): Promise<void> } {
    assert(
      this.#dynamic && this.#alive && !this.#stopping,
      `${this.path} is stopping, cannot start ${spec.id}`,
    );
    const parent: SupervisedParent = {
      ended: (_child, _reason, error) => {
        this.#forget(child);
        failed(error ?? new Error(`supervisor ${child.path} ended`));
      },
    };
    const child = Supervisor.declared(this.#host, parent, this.path, spec);
    this.#children.push(child);
    void child.start();
    return {
      stop: async () => {
        if (!this.#children.includes(child)) return;
        await child.stop();
        this.#forget(child);
      },
    };
  }

  /** Ends a child for good, whatever its restart type (OTP's terminate_child). */
  stopChild(path: string): void {
    const child = this.#children.find((c) => c.path === path);
    if (!child) return;
    this.#nextEpoch(child);
    void child.stop().then(() => this.#forget(child));
  }

  async start(): Promise<void> {
    assert(!this.#alive, `${this.path} is already started`);
    this.#host.recorder.lifecycle(this.#starts === 0 ? 'spawn' : 'restart', this.path, {
      detail: { strategy: this.#policy.strategy },
    });
    this.#starts += 1;
    this.#alive = true;
    this.#stopping = undefined;
    this.#restartsMs = [];
    this.#completeChildren();
    this.#state = 'starting';
    await this.#run(this, this.#children, 0);
    if (this.#state === 'starting') this.#state = 'running';
  }

  stop(): Promise<void> {
    if (!this.#alive) return Promise.resolve();
    this.#stopping ??= this.#stopChildren().then(() => {
      this.#alive = false;
      this.#state = 'stopped';
      if (!this.#dynamic) this.#host.recorder.lifecycle('stop', this.path, { reason: 'shutdown' });
    });
    return this.#stopping;
  }

  backingOff(): void {
    this.#state = 'backing-off';
    for (const child of this.#children) child.backingOff();
  }

  park(): void {
    this.#state = 'stopped';
    for (const child of this.#children) child.park();
  }

  retire(): void {
    this.#state = 'stopped';
    for (const child of this.#children) child.retire();
  }

  ended(child: Supervised, reason: StopReason, error: Error | undefined): void {
    if (this.#stopping) return;
    const again = child.restart === 'permanent' || (child.restart === 'transient' && reason === 'crash');
    if (!again) {
      if (child.restart === 'temporary' || this.#dynamic) this.#forget(child);
      else child.park();
      return;
    }
    const nowMs = this.#host.system.env.clock.monotonicMs();
    const { intensity, strategy } = this.#policy;
    this.#restartsMs = this.#restartsMs.filter((at) => nowMs - at < intensity.windowMs);
    this.#restartsMs.push(nowMs);
    if (this.#restartsMs.length > intensity.maxRestarts) {
      this.#fail(child, reason, error);
      return;
    }
    const delayMs = this.#backoffMs(child, nowMs);
    switch (strategy) {
      case 'one-for-one':
        void this.#run(child, [child], delayMs);
        break;
      case 'rest-for-one':
        this.#restartGroup(this.#children.slice(this.#children.indexOf(child)), delayMs);
        break;
      case 'all-for-one':
        this.#restartGroup(this.#children, delayMs);
        break;
      default:
        strategy satisfies never;
    }
  }

  tree(): TreeNode {
    return {
      node: this.#host.system.node,
      path: this.path,
      strategy: this.#policy.strategy,
      state: this.#state,
      restarts: Math.max(0, this.#starts - 1),
      mailboxDepth: 0,
      children: this.#children.map((child) => child.tree()),
    };
  }

  /** Every child by path, for fault injection. */
  crash(path: string, error: Error): boolean {
    return this.#children.some((child) => {
      if (child instanceof Supervisor) return child.crash(path, error);
      if (!(child instanceof Cell)) return false;
      if (child.path !== path) return child.family?.crash(path, error) ?? false;
      if (!child.alive) return false;
      child.crash(error);
      return true;
    });
  }

  /** In the declared order; temporary children that are gone come back with a new start of the supervisor. */
  #completeChildren(): void {
    if (this.#dynamic) return;
    this.#children = this.#declared.map((spec) => {
      const known = this.#children.find((child) => child.id === spec.id);
      if (known) return known;
      return 'children' in spec
        ? Supervisor.declared(this.#host, this, this.path, spec)
        : new Cell(this.#host, this, childPath(this.path, spec.id), spec);
    });
  }

  /** Overtakes a run under way, and takes over what that one has stopped, or was about to, and not started again. */
  #restartGroup(group: readonly Supervised[], delayMs: number): void {
    const children = this.#children.filter((child) => group.includes(child) || this.#toStart.has(child));
    void this.#run(this, children, delayMs);
  }

  /** Stops what still runs of `children` (last first), waits, starts them (first first), unless overtaken. */
  async #run(key: Supervised, children: readonly Supervised[], delayMs: number): Promise<void> {
    const epoch = this.#nextEpoch(key);
    if (key === this) this.#toStart = new Set(children);
    const overtaken = () => this.#stopping !== undefined || this.#epochs.get(key) !== epoch;
    for (const child of children.toReversed()) {
      if (child.alive) {
        await child.stop();
        if (overtaken()) return;
      }
      if (delayMs > 0) child.backingOff();
    }
    if (key === this && delayMs > 0) this.#dropTemporary(children);
    if (delayMs > 0) {
      await this.#sleep(delayMs);
      if (overtaken()) return;
    }
    for (const child of children) {
      if (key === this) this.#toStart.delete(child);
      if (child.alive || !this.#children.includes(child)) continue;
      await child.start();
      if (overtaken()) return;
    }
  }

  /** OTP: a temporary child that goes down with its siblings is not started again. */
  #dropTemporary(children: readonly Supervised[]): void {
    for (const child of children) if (child.restart === 'temporary') this.#forget(child);
  }

  #fail(child: Supervised, reason: StopReason, cause: Error | undefined): void {
    const { maxRestarts, windowMs } = this.#policy.intensity;
    const why = cause ? cause.message : `ended (${reason})`;
    const error = new Error(
      `supervisor ${this.path || '/'} gives up: more than ${maxRestarts} restarts within ${windowMs} ms, ` +
        `the last one of ${child.path}: ${why}`,
      { cause },
    );
    this.#host.recorder.crashed(this.path, error, undefined);
    void this.stop().then(() => this.#onEnd(error));
  }

  async #stopChildren(): Promise<void> {
    for (const child of this.#children) this.#nextEpoch(child);
    this.#nextEpoch(this);
    for (const sleep of this.#sleeps) {
      sleep.timer.cancel();
      sleep.wake();
    }
    this.#sleeps.clear();
    for (const child of this.#children.toReversed()) await child.stop();
  }

  /** AWS's "full jitter": uniform between 0 and an exponentially growing cap. At least 1, so that it is a wait. */
  #backoffMs(child: Supervised, nowMs: number): number {
    const { minMs, maxMs, resetAfterMs } = this.#policy.backoff;
    let history = this.#histories.get(child);
    if (!history || nowMs - history.lastMs >= resetAfterMs) history = { attempts: 0, lastMs: nowMs };
    const capMs = Math.min(maxMs, minMs * 2 ** Math.min(history.attempts, 30));
    this.#histories.set(child, { attempts: history.attempts + 1, lastMs: nowMs });
    return Math.max(1, Math.round(this.#host.system.env.random.next() * capMs));
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((wake) => {
      const timer = this.#host.system.env.clock.setTimer(delayMs, () => {
        this.#sleeps.delete(sleep);
        wake();
      });
      const sleep = { timer, wake };
      this.#sleeps.add(sleep);
    });
  }

  #forget(child: Supervised): void {
    this.#children = this.#children.filter((c) => c !== child);
    this.#histories.delete(child);
    this.#epochs.delete(child);
    child.retire();
    if (this.#children.length === 0) this.#onEmpty();
  }

  #nextEpoch(key: Supervised): number {
    const epoch = (this.#epochs.get(key) ?? 0) + 1;
    this.#epochs.set(key, epoch);
    return epoch;
  }
}

function childPath(parentPath: string, id: string): string {
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:@=+-]{0,252}$/.test(id)) {
    throw new TypeError(
      `actor id ${JSON.stringify(id)} must be 1 to 253 letters, digits or _.:@=+- and start with a letter or digit`,
    );
  }
  return `${parentPath}/${id}`;
}

function checkSpec(spec: SupervisorSpec): void {
  const { intensity, backoff } = spec;
  assert(intensity.maxRestarts >= 0 && intensity.windowMs > 0, `${spec.id}: intensity out of range`);
  const ids = new Set(spec.children.map((child) => child.id));
  assert(ids.size === spec.children.length, `${spec.id}: two children have the same id`);
  assert(backoff.minMs >= 0 && backoff.maxMs >= backoff.minMs, `${spec.id}: backoff out of range`);
}
