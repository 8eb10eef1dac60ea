/** A compaction with `physical` (etcd rpc.proto: CompactionRequest): answered once the member beside the front has freed the room. */
import type { Clock } from '../../../transport/index.js';
import type { StoreStatus } from '../client.js';
import { etcdLimits } from './limits.js';
import { errors } from './status.js';

export interface FreeingView {
  status(): Promise<Pick<StoreStatus, 'compactRevision' | 'isFreeing'>>;
}

/** Rejects with a GrpcError when time is up: the compaction counts, and its room is freed later. */
export async function whenFreed(
  view: FreeingView,
  clock: Clock,
  at: number,
  timeoutMs: number,
): Promise<void> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const { compactRevision, isFreeing } = await view.status();
    if (compactRevision >= at && !isFreeing) return;
    if (clock.monotonicMs() >= endMs) throw errors.timeout();
    await new Promise<void>((resolve) => clock.setTimer(etcdLimits.freedAskedAgainMs, resolve));
  }
}
