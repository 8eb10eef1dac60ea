/**
 * What runtimes say to each other, in envelopes addressed to `/system`. Links lose and duplicate, so every message
 * here may come twice or not at all: watches are asserted again and again until they are answered with Terminated.
 */
import type { EnvelopeId } from '../../transport/index.js';
import type { TerminationReason } from './actor.js';
import type { UndeliverableReason } from './host.js';
import { limits } from './limits.js';

export const controlPath = '/system';

export interface WatchItem {
  /** `<incarnation>-<seq>`: unique among the watches of a node, also of its earlier starts. */
  readonly watchId: string;
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
      readonly items: readonly { readonly watchId: string; readonly life: number }[];
    }
  | { readonly type: 'Unwatch'; readonly watchIds: readonly string[] }
  | { readonly type: 'Terminated'; readonly watchId: string; readonly reason: TerminationReason }
  /** The envelope `id` was not handled: the sender may learn at once what a timeout would tell it late. */
  | { readonly type: 'DeadLetter'; readonly id: EnvelopeId; readonly reason: UndeliverableReason };

/** Peers are authenticated, but of any version: what is malformed or unknown is refused, not half understood. */
export function asControl(body: unknown): ControlMessage | undefined {
  if (!isRecord(body) || typeof body.type !== 'string') return undefined;
  return shapes.get(body.type)?.(body) ? (body as unknown as ControlMessage) : undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const reasons: ReadonlySet<unknown> = new Set<TerminationReason>([
  'normal',
  'crash',
  'unreachable',
  'not-found',
]);

const shapes: ReadonlyMap<string, (message: Fields) => boolean> = new Map<
  ControlMessage['type'],
  (message: Fields) => boolean
>([
  ['Watch', ({ items }) => isArrayOf(items, isWatchItem)],
  ['Watching', ({ items }) => isArrayOf(items, (i) => isRecord(i) && isText(i.watchId) && isNumber(i.life))],
  ['Unwatch', ({ watchIds }) => isArrayOf(watchIds, isText)],
  ['Terminated', ({ watchId, reason }) => isText(watchId) && reasons.has(reason)],
  ['DeadLetter', ({ id, reason }) => isText(id) && isText(reason)],
]);

/** Of the letters between runtimes. */
export const controlKinds: readonly string[] = [...shapes.keys()];

function isWatchItem(item: unknown): boolean {
  return (
    isRecord(item) &&
    isText(item.watchId) &&
    isText(item.path) &&
    typeof item.atEnd === 'boolean' &&
    (item.life === undefined || isNumber(item.life))
  );
}

function isArrayOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= limits.watchesPerEnvelopeMax && value.every(isItem);
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
