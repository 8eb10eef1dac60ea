/**
 * Leader election as an actor (client-go `tools/leaderelection`, ARCHITECTURE rule 10): it claims a Lease, renews
 * it, and runs what it is given only while it leads. All that runs under it carries the fencing token of its
 * claim, so that a leader that was asleep when it was deposed cannot write. It stops before anybody else may
 * start: the renew deadline runs from the sending of the last write that succeeded, the others' patience from
 * seeing it.
 */
import { strict as assert } from 'node:assert';
import {
  type ApiClient,
  ApiError,
  createEventRecorder,
  type EventRecorder,
  isNotFound,
  leases,
} from '../client/index.js';
import type { NodeId } from '../../transport/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { Actor, ActorContext, ChildSpec, StopReason, SupervisorSpec } from '../runtime/index.js';
import { EndpointsMirror } from './endpoints-mirror.js';
import {
  claimedLease,
  fencingToken,
  judge,
  type Observation,
  observe,
  releasedLease,
} from './lease-record.js';
import { type LeadershipLimits, leadershipLimits } from './limits.js';

export interface LeaderElectionOptions {
  /** Name of the Lease and of the component: `kube-scheduler`. */
  readonly lockName: string;
  /** Default `kube-system`. */
  readonly namespace?: string;
  /** Unique per process start: `<host>_<uuid>`. */
  readonly identity: string;
  readonly client: ApiClient;
  /** What runs while this one leads; every write in it passes `fencing`. */
  readonly onLead: (fencing: string) => SupervisorSpec | ChildSpec;
  /**
   * The node on which an identity runs. When the holder's node is seen to go, its lease is taken over at once: it need not
   * run out, because the fencing token keeps out whatever the old holder may still write.
   */
  readonly nodeOf?: (identity: string) => NodeId | undefined;
  readonly limits?: Partial<LeadershipLimits>;
}

export type LeaderElectionMessage =
  | { readonly type: 'Attempt' }
  | { readonly type: 'Attempted'; readonly attempt: Attempt; readonly outcome: Outcome }
  | { readonly type: 'AttemptFailed'; readonly attempt: Attempt; readonly error: unknown }
  | { readonly type: 'RenewDeadline' }
  | { readonly type: 'ChildrenFailed'; readonly error: Error }
  | { readonly type: 'ChildrenStopped'; readonly standBack: boolean }
  | { readonly type: 'HolderGone'; readonly holder: string }
  | { readonly type: 'StoodBack' };

/** One try to claim or renew. An answer to an older one is ignored. */
interface Attempt {
  readonly startedMs: number;
}

type Outcome =
  | { readonly type: 'held'; readonly lease: Lease }
  | { readonly type: 'follow'; readonly holder: string; readonly expiresInMs: number };

/** A child spec for the component's own supervisor tree; its id is `leader-election`. */
export function leaderElection(options: LeaderElectionOptions): ChildSpec<LeaderElectionMessage> {
  const limits = { ...leadershipLimits, ...options.limits };
  assert(limits.renewDeadlineMs < limits.leaseDurationMs, 'renewDeadlineMs must be below leaseDurationMs');
  assert(limits.retryPeriodMs < limits.renewDeadlineMs, 'retryPeriodMs must be below renewDeadlineMs');
  assert(limits.leaseDurationMs % 1000 === 0, 'leaseDurationMs must be whole seconds');
  return { id: 'leader-election', start: () => new LeaderElector(options, limits) };
}

interface Leading {
  readonly fencing: string;
  readonly sinceMs: number;
  readonly children: { stop(): Promise<void> };
}

class LeaderElector implements Actor<undefined, LeaderElectionMessage> {
  readonly #options: LeaderElectionOptions;
  readonly #limits: LeadershipLimits;
  readonly #namespace: string;
  #mirror!: EndpointsMirror;
  #recorder!: EventRecorder;
  #ctx!: ActorContext<LeaderElectionMessage>;
  #observation: Observation | undefined;
  /** The Lease as we last wrote it; undefined when the last outcome is not certain. */
  #held: Lease | undefined;
  #leading: Leading | undefined;
  #current: Attempt | undefined;
  /** Attempting, or waiting for children to stop, or standing back. */
  #phase: 'electing' | 'stopping' | 'standing-back' = 'electing';
  #lastHolder = '';
  /** The last attempt found another leader. */
  #following = false;
  #standBackMs: number;
  /** The holder whose node was seen to go. */
  #gone = '';
  #unwatchHolder: () => void = () => {};

  constructor(options: LeaderElectionOptions, limits: LeadershipLimits) {
    this.#options = options;
    this.#limits = limits;
    this.#namespace = options.namespace ?? 'kube-system';
    this.#standBackMs = limits.standBackMinMs;
  }

  initial(ctx: ActorContext<LeaderElectionMessage>): undefined {
    const { client, lockName } = this.#options;
    const { system } = ctx;
    this.#ctx = ctx;
    this.#recorder = createEventRecorder({ system, client, component: lockName, host: system.node });
    this.#mirror = new EndpointsMirror({
      system,
      client,
      namespace: this.#namespace,
      name: lockName,
      periodMs: this.#limits.mirrorPeriodMs,
    });
    // The candidates of a fresh cluster do not all ask in the same instant.
    this.#attemptIn(ctx.env.random.next() * 50);
    return undefined;
  }

  receive(_state: undefined, message: LeaderElectionMessage): undefined {
    switch (message.type) {
      case 'Attempt':
        return this.#attempt();
      case 'Attempted':
        return this.#attempted(message.outcome, message.attempt);
      case 'AttemptFailed':
        return this.#attemptFailed(message.error, message.attempt);
      case 'RenewDeadline':
        return this.#lose('the lease could not be renewed in time');
      case 'ChildrenFailed':
        return this.#childrenFailed(message.error);
      case 'ChildrenStopped':
        return this.#childrenStopped(message.standBack);
      case 'HolderGone':
        return this.#holderGone(message.holder);
      case 'StoodBack':
        this.#phase = 'electing';
        return this.#attemptIn(0);
      default:
        message satisfies never;
    }
  }

  /** Clean or not, whoever ends lets the next one start at once. The children are stopped by the runtime. */
  async stopped(_state: undefined, reason: StopReason): Promise<void> {
    const leading = this.#leading;
    this.#leading = undefined;
    this.#unwatchHolder();
    if (!leading) return;
    this.#announce(`stopped leading (${reason})`);
    await this.#release();
  }

  #attemptIn(delayMs: number): undefined {
    this.#ctx.setTimer('attempt', delayMs, { type: 'Attempt' });
    return undefined;
  }

  #retryMs(): number {
    return this.#jittered(this.#limits.retryPeriodMs);
  }

  #jittered(periodMs: number): number {
    return periodMs * (0.8 + 0.4 * this.#ctx.env.random.next());
  }

  #attempt(): undefined {
    if (this.#phase !== 'electing') return undefined;
    const attempt: Attempt = { startedMs: this.#ctx.env.clock.monotonicMs() };
    this.#current = attempt;
    const failed = (error: unknown): LeaderElectionMessage => ({ type: 'AttemptFailed', attempt, error });
    this.#ctx.pipeToSelf(
      this.#acquireOrRenew(),
      (outcome): LeaderElectionMessage => ({ type: 'Attempted', attempt, outcome }),
      failed,
    );
    // A question that hangs must not use up the time in which another one could be answered.
    const { renewDeadlineMs, retryPeriodMs } = this.#limits;
    const late = new ApiError(0, 'Timeout', 'the attempt took too long', false);
    this.#ctx.setTimer('attempt', renewDeadlineMs - retryPeriodMs, failed(late));
    return undefined;
  }

  async #acquireOrRenew(): Promise<Outcome> {
    const { client, identity, lockName } = this.#options;
    const { clock } = this.#ctx.env;
    // The fast path of a leader: its own last write is the precondition, no read before it.
    if (!this.#held) await this.#look(this.#following ? 'follower' : 'holder');
    const judgement = this.#held
      ? ({ type: 'renew', lease: this.#held } as const)
      : judge(this.#observation, identity, clock.monotonicMs(), this.#gone);
    if (judgement.type === 'wait') {
      return { type: 'follow', holder: judgement.holder, expiresInMs: judgement.expiresInMs };
    }
    const claim = {
      name: lockName,
      namespace: this.#namespace,
      identity,
      leaseDurationMs: this.#limits.leaseDurationMs,
      nowMs: clock.nowMs(),
    };
    this.#held = undefined;
    const lease =
      judgement.type === 'create'
        ? await client.create(leases, claimedLease(claim, undefined))
        : await client.update(leases, claimedLease(claim, judgement.lease));
    return { type: 'held', lease };
  }

  /**
   * A follower reads what its apiserver has cached: several masters that ask the store for the newest version twice a
   * second would be most of what an idle cluster does. What is old only makes it wait longer, and a claim names the
   * version it replaces. Who may hold the lease itself must know.
   */
  async #look(as: 'follower' | 'holder'): Promise<void> {
    const { client, lockName } = this.#options;
    try {
      const options = as === 'follower' ? { resourceVersion: '0' } : {};
      const lease = await client.get(leases, this.#namespace, lockName, options);
      this.#observation = observe(this.#observation, lease, this.#ctx.env.clock.monotonicMs());
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#observation = undefined;
    }
  }

  #attempted(outcome: Outcome, attempt: Attempt): undefined {
    if (attempt !== this.#current) return undefined;
    this.#current = undefined;
    this.#following = outcome.type === 'follow';
    if (outcome.type === 'follow') return this.#follow(outcome);
    const { clock } = this.#ctx.env;
    this.#held = outcome.lease;
    this.#observation = { lease: outcome.lease, changedAtMs: clock.monotonicMs() };
    const leftMs = attempt.startedMs + this.#limits.renewDeadlineMs - clock.monotonicMs();
    if (leftMs <= 0) {
      // An answer that came after the deadline of its own question proves nothing any more.
      if (this.#leading) return this.#lose('the renewal came too late');
      return this.#attemptIn(0);
    }
    this.#ctx.setTimer('renew-deadline', leftMs, { type: 'RenewDeadline' });
    if (!this.#leading) this.#lead(outcome.lease);
    else if (fencingToken(outcome.lease) !== this.#leading.fencing) {
      return this.#lose('the lease was lost and won again meanwhile');
    }
    this.#mirror.show(outcome.lease);
    // Earlier and never later: what is left until the deadline is for a second attempt.
    return this.#attemptIn(this.#limits.renewPeriodMs * (0.8 + 0.2 * this.#ctx.env.random.next()));
  }

  #follow({ holder, expiresInMs }: Extract<Outcome, { type: 'follow' }>): undefined {
    if (this.#leading) return this.#lose(`${holder} holds the lease`);
    if (holder !== this.#lastHolder) {
      this.#lastHolder = holder;
      this.#ctx.note('new leader', { lock: this.#options.lockName, holder });
      this.#watchHolder(holder);
    }
    // Being there when it expires, and not up to a whole period later, is half of a fast failover.
    const soonMs = expiresInMs + 1 + this.#ctx.env.random.next() * 50;
    return this.#attemptIn(Math.min(this.#jittered(this.#limits.followPeriodMs), soonMs));
  }

  #watchHolder(holder: string): void {
    const { system, self } = this.#ctx;
    this.#unwatchHolder();
    const node = this.#options.nodeOf?.(holder);
    this.#unwatchHolder =
      node === undefined
        ? () => {}
        : system.onNodeDown(node, () => system.tell(self, { type: 'HolderGone', holder }));
  }

  #holderGone(holder: string): undefined {
    if (this.#phase !== 'electing' || this.#leading || holder !== this.#lastHolder) return undefined;
    this.#gone = holder;
    this.#ctx.note('leader is gone', { lock: this.#options.lockName, holder });
    return this.#attemptIn(this.#ctx.env.random.next() * 50);
  }

  #attemptFailed(error: unknown, attempt: Attempt): undefined {
    if (attempt !== this.#current) return undefined;
    this.#current = undefined;
    if (!(error instanceof ApiError)) throw error;
    this.#held = undefined;
    this.#following = false;
    // If the one that seemed gone has renewed meanwhile, it is not.
    this.#gone = '';
    const { lockName } = this.#options;
    this.#ctx.note('lease attempt failed', {
      lock: lockName,
      reason: error.reason,
      leading: !!this.#leading,
    });
    // Somebody else wrote, or we did and do not know it: a leader looks soon, while its own lease runs out.
    return this.#attemptIn(this.#leading ? this.#retryMs() / 4 : this.#retryMs());
  }

  #lead(lease: Lease): void {
    const { onLead, identity, lockName } = this.#options;
    const fencing = fencingToken(lease);
    this.#lastHolder = identity;
    const spec = onLead(fencing);
    const tree = 'children' in spec ? spec : aloneUnderSupervisor(spec);
    const children = this.#ctx.supervise(tree, (error) => ({ type: 'ChildrenFailed', error }));
    this.#leading = { fencing, sinceMs: this.#ctx.env.clock.monotonicMs(), children };
    this.#ctx.note('became leader', { lock: lockName, fencing });
    this.#announce('became leader');
  }

  /** No longer leader, or no longer sure of it: everything under it stops now. */
  #lose(why: string): undefined {
    if (this.#leading) this.#stopLeading(this.#leading, why, false);
    return undefined;
  }

  #childrenFailed(error: Error): undefined {
    if (this.#leading) this.#stopLeading(this.#leading, error.message, true);
    return undefined;
  }

  #stopLeading(leading: Leading, why: string, standBack: boolean): void {
    this.#leading = undefined;
    this.#phase = 'stopping';
    this.#current = undefined;
    this.#ctx.cancelTimer('renew-deadline');
    this.#ctx.cancelTimer('attempt');
    this.#ctx.note('stopped leading', { lock: this.#options.lockName, why: why.slice(0, 200) });
    this.#announce('stopped leading');
    const { clock } = this.#ctx.env;
    if (clock.monotonicMs() - leading.sinceMs >= this.#limits.standBackResetMs) {
      this.#standBackMs = this.#limits.standBackMinMs;
    }
    const ended = leading.children.stop().then(() => (standBack ? this.#release() : undefined));
    this.#ctx.pipeToSelf(
      ended,
      (): LeaderElectionMessage => ({ type: 'ChildrenStopped', standBack }),
      (error) => {
        throw error;
      },
    );
  }

  #childrenStopped(standBack: boolean): undefined {
    this.#held = undefined;
    if (!standBack) {
      this.#phase = 'electing';
      return this.#attemptIn(this.#retryMs());
    }
    // Its children cannot run here; elsewhere they may.
    this.#phase = 'standing-back';
    const forMs = this.#standBackMs * (0.8 + 0.4 * this.#ctx.env.random.next());
    this.#standBackMs = Math.min(this.#standBackMs * 2, this.#limits.standBackMaxMs);
    this.#ctx.note('standing back', { lock: this.#options.lockName, forMs: Math.round(forMs) });
    this.#ctx.setTimer('attempt', forMs, { type: 'StoodBack' });
    return undefined;
  }

  /** Gives the lease back if it is ours. Never rejects, and takes `releaseTimeoutMs` at most. */
  async #release(): Promise<void> {
    const { clock } = this.#ctx.env;
    let late = () => {};
    const tooLate = new Promise<void>((resolve) => {
      late = resolve;
    });
    const timer = clock.setTimer(this.#limits.releaseTimeoutMs, () => late());
    try {
      await Promise.race([this.#giveBack(), tooLate]);
    } catch (error) {
      // Then it runs out by itself.
      const why = error instanceof Error ? error.message : String(error);
      this.#ctx.note('lease not released', { lock: this.#options.lockName, why: why.slice(0, 200) });
    } finally {
      timer.cancel();
    }
  }

  async #giveBack(): Promise<void> {
    const { client, identity } = this.#options;
    await this.#look('holder');
    const held = this.#observation?.lease;
    if (held?.spec?.holderIdentity !== identity) return;
    const released = releasedLease(held, this.#ctx.env.clock.nowMs());
    await this.#mirror.write(released, fencingToken(held));
    await client.update(leases, released);
  }

  #announce(what: string): void {
    const { identity, lockName } = this.#options;
    const lease = this.#observation?.lease ?? { metadata: { name: lockName, namespace: this.#namespace } };
    const regarding: Lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: lease.metadata!,
    };
    this.#recorder.event(regarding, 'Normal', 'LeaderElection', `${identity} ${what}`);
  }
}

function aloneUnderSupervisor(child: ChildSpec): SupervisorSpec {
  return {
    id: 'leading',
    strategy: 'one-for-one',
    intensity: { maxRestarts: 5, windowMs: 10_000 },
    backoff: { minMs: 50, maxMs: 2_000, resetAfterMs: 30_000 },
    children: [child],
  };
}
