/** v3electionpb.Election: campaigns wait for their turn like locks; whoever is first under the name leads. */
import { type KeyValue, leaseId, revision, type Revision } from 'raft-consensus';
import type { CallerStore } from '../caller-store.js';
import type { StoreWatch } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import { service, type StreamCall, type StreamHandler, streaming, unary } from './method.js';
import { endOfPrefix, firstOf, leaveIfOwn, takeTurn, type Watches } from './queue-of-keys.js';
import {
  CampaignRequest,
  CampaignResponse,
  HeaderOnly,
  type LeaderKey,
  LeaderRequest,
  LeaderResponse,
  ProclaimRequest,
  ResignRequest,
} from './rpc-messages.js';
import { code, GrpcError, toGrpcError } from './status.js';

// etcd gives these no code.
const notLeader = () => new GrpcError(code.unknown, 'election: not leader');
const noLeader = () => new GrpcError(code.unknown, 'election: no leader');
const missingLeader = () => new GrpcError(code.unknown, '"leader" field must be provided');

export function electionService(watches: Watches, view: ClusterView) {
  return service('v3electionpb.Election', {
    Campaign: unary(
      CampaignRequest,
      CampaignResponse,
      async ({ name, lease, value }, call) => {
        const { client } = await call.stores();
        const { place, said, at } = await takeTurn(client, watches, name, lease, value, call);
        // The lease may have stood in the queue before, with another value.
        if (!Buffer.from(said).equals(value)) await proclaim(client, place, value);
        return { header: view.header(at), leader: { name, ...place } };
      },
      { waits: true },
    ),
    Proclaim: unary(ProclaimRequest, HeaderOnly, async ({ leader, value }, call) => {
      if (!leader) throw missingLeader();
      const { client } = await call.stores();
      return { header: view.header(await proclaim(client, leader, value)) };
    }),
    Leader: unary(LeaderRequest, LeaderResponse, async ({ name }, call) => {
      const { client } = await call.stores();
      const { at, kv } = await firstOf(client, name);
      if (!kv) throw noLeader();
      return { header: view.header(at), kv };
    }),
    Observe: streaming(LeaderRequest, LeaderResponse, (call) => new Observer(call, watches, view)),
    Resign: unary(ResignRequest, HeaderOnly, async ({ leader }, call) => {
      if (!leader) throw missingLeader();
      const { client } = await call.stores();
      return { header: view.header(await leaveIfOwn(client, leader.key ?? '', leader.rev ?? 0)) };
    }),
  });
}

async function proclaim(
  client: CallerStore,
  leader: Partial<LeaderKey>,
  value: Uint8Array,
): Promise<Revision> {
  const { key = '', rev = 0, lease = 0 } = leader;
  const { revision: at, result } = await client.txn({
    type: 'txn',
    compare: [{ key, target: 'create', result: '=', operand: rev }],
    success: [{ type: 'put', key, value, lease: leaseId(lease) }],
    failure: [],
  });
  if (!result.succeeded) throw notLeader();
  return at;
}

/** Sends the leader's key whenever there is another leader or he says something else. */
class Observer implements StreamHandler<LeaderRequest> {
  readonly #call: StreamCall<LeaderResponse>;
  readonly #watches: Watches;
  readonly #view: ClusterView;
  #watch: StoreWatch | undefined;
  #sent = 0;
  #isLooking = false;
  #lookAgain = false;

  constructor(call: StreamCall<LeaderResponse>, watches: Watches, view: ClusterView) {
    this.#call = call;
    this.#watches = watches;
    this.#view = view;
  }

  message({ name }: LeaderRequest): void {
    if (this.#watch) return;
    this.#call.onGone(() => this.#watch?.close());
    void this.#begin(name).catch((error: unknown) => this.#call.end(toGrpcError(error)));
  }

  finished(): void {}

  async #begin(name: string): Promise<void> {
    const { at, kv } = await this.#first(name);
    if (this.#call.isGone) return;
    this.#tell(at, kv);
    const key = `${name}/`;
    this.#watch = this.#watches.watch(
      { key, rangeEnd: endOfPrefix(key), startRevision: revision(at + 1) },
      {
        onBatch: ({ events }) => {
          if (events.length > 0) this.#look(name);
        },
        onEnd: (reason) => {
          if (reason.type !== 'closed')
            this.#call.end(new GrpcError(code.unavailable, 'etcdserver: watch ended'));
        },
      },
    );
  }

  async #first(name: string) {
    const { client } = await this.#call.stores();
    return firstOf(client, name);
  }

  /** One look at a time; what happens meanwhile is seen by the next. */
  #look(name: string): void {
    if (this.#isLooking) {
      this.#lookAgain = true;
      return;
    }
    this.#isLooking = true;
    this.#lookAgain = false;
    this.#first(name).then(
      ({ at, kv }) => {
        this.#isLooking = false;
        this.#tell(at, kv);
        if (this.#lookAgain) this.#look(name);
      },
      (error: unknown) => this.#call.end(toGrpcError(error)),
    );
  }

  #tell(at: Revision, kv: KeyValue | undefined): void {
    if (!kv || kv.modRevision === this.#sent) return;
    this.#sent = kv.modRevision;
    this.#call.send({ header: this.#view.header(at), kv });
  }
}
