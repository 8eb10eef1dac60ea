/**
 * What runtimes say to each other, in envelopes addressed to `/system`. Links lose and duplicate, so every message
 * here may come twice or not at all: watches are asserted again and again until they are answered with Terminated.
 */
import type { EnvelopeId } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';
import type { UndeliverableReason } from './host.js';

export const controlPath = '/system';

export interface WatchItem {
  /** Unique on the watching node. */
  readonly watchId: number;
  readonly path: string;
  /** The life that is watched, once known from Watching: another one at the path means that it is gone. */
  readonly life?: number;
  /** Told at the end of the life (asks) rather than after its `stopped` hook (death watch). */
  readonly atEnd: boolean;
}

export type ControlMessage =
  | { readonly type: 'Watch'; readonly items: readonly WatchItem[] }
  | {
      readonly type: 'Watching';
      readonly items: readonly { readonly watchId: number; readonly life: number }[];
    }
  | { readonly type: 'Unwatch'; readonly watchIds: readonly number[] }
  | { readonly type: 'Terminated'; readonly watchId: number; readonly reason: TerminationReason }
  /** The envelope `id` was not handled: the sender may learn at once what a timeout would tell it late. */
  | { readonly type: 'DeadLetter'; readonly id: EnvelopeId; readonly reason: UndeliverableReason };

const types: ReadonlySet<string> = new Set(['Watch', 'Watching', 'Unwatch', 'Terminated', 'DeadLetter']);

/** Peers are authenticated, but of any version: an unknown control message is refused, not half understood. */
export function asControl(body: unknown): ControlMessage | undefined {
  const type = (body as { readonly type?: unknown } | null)?.type;
  return typeof type === 'string' && types.has(type) ? (body as ControlMessage) : undefined;
}
