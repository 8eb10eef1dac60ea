/** A small journal of two nodes with one of everything: a create, its replication, a fault, a loss, a crash. */
import type {
  EnvelopeId,
  JournalEvent,
  JournalEventType,
  NodeId,
  TraceParent,
} from '../../../transport/index.js';

const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' as TraceParent;
const otherTrace = '00-11111111111111111111111111111111-2222222222222222-01' as TraceParent;
const epochMs = 1_700_000_000_000;

type Fields = Partial<Omit<JournalEvent, 'node' | 'id' | 'cause'>> & { id?: string; cause?: string };

function event(
  type: JournalEventType,
  node: string,
  at: number,
  lamport: number,
  fields: Fields,
): JournalEvent {
  return { type, at: epochMs + at, lamport, node: node as NodeId, ...fields } as JournalEvent;
}

const door = 'kabuki://master-1/door/17';
const apiserver = 'kabuki://master-1/apiserver';
const store1 = 'kabuki://master-1/store';
const store2 = 'kabuki://master-2/store';

const request = { id: 'master-1/1/1' as EnvelopeId, trace, kind: 'ApiRequest', from: door, to: apiserver };
const put = {
  id: 'master-1/1/2' as EnvelopeId,
  cause: request.id,
  trace,
  kind: 'Put',
  from: apiserver,
  to: store1,
};
const append = {
  id: 'master-1/1/3' as EnvelopeId,
  cause: put.id,
  trace,
  kind: 'Append',
  from: store1,
  to: store2,
};
const lost = { ...append, id: 'master-1/1/4' as EnvelopeId };
const late = {
  ...append,
  id: 'master-1/1/5' as EnvelopeId,
  trace: otherTrace,
  kind: 'Tick;#1',
  cause: 'gone/1/1',
};

export const master1: JournalEvent[] = [
  event('spawn', 'master-1', 0, 1, { actor: '/apiserver' }),
  event('send', 'master-1', 1, 2, request),
  event('handle', 'master-1', 2, 3, { ...request, actor: '/apiserver' }),
  event('note', 'master-1', 2, 3, {
    id: request.id,
    trace,
    actor: '/apiserver',
    kind: 'create',
    detail: { object: 'pods/default/web-1', code: 201 },
  }),
  event('send', 'master-1', 3, 4, put),
  event('handled', 'master-1', 4, 4, { ...request, actor: '/apiserver', ms: 2.25 }),
  event('handle', 'master-1', 4, 5, { ...put, actor: '/store' }),
  event('send', 'master-1', 5, 6, append),
  event('handled', 'master-1', 5, 6, { ...put, actor: '/store', ms: 0.5 }),
  event('fault', 'master-1', 6, 7, {
    kind: 'cut',
    detail: { from: 'master-1', to: 'master-2', rule: 'leader-cut' },
  }),
  event('send', 'master-1', 7, 8, lost),
  event('drop', 'master-1', 7, 8, { ...lost, reason: 'fault' }),
  event('send', 'master-1', 9, 9, late),
];

export const master2: JournalEvent[] = [
  event('recv', 'master-2', 6, 7, append),
  event('recv', 'master-2', 6, 7, append),
  event('handle', 'master-2', 6, 8, { ...append, actor: '/store' }),
  event('crash', 'master-2', 7, 8, {
    id: append.id,
    trace,
    actor: '/store',
    kind: 'Append',
    detail: { error: 'disk is full' },
  }),
  event('handled', 'master-2', 7, 8, { ...append, actor: '/store', ms: 1 }),
  event('restart', 'master-2', 8, 9, { actor: '/store', detail: { restarts: 1 } }),
  event('recv', 'master-2', 10, 10, late),
  event('dead', 'master-2', 10, 10, { ...late, reason: 'no such actor' }),
];
