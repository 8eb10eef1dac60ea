/**
 * A journal in the Trace Event Format, for ui.perfetto.dev and chrome://tracing: a process a node, a track an actor
 * (handling is one at a time there, so slices nest), a slice a handled message, an arrow from each send to where it
 * was handled, and an instant for each fault, loss, crash and remark.
 */
import type { JournalEvent } from './journal.js';
import { pathOf } from './messages.js';

interface TraceEvent {
  readonly ph: 'M' | 'X' | 's' | 'f' | 'i';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds since the first event. */
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: string;
  readonly bp?: 'e';
  readonly s?: 'g' | 'p' | 't';
  readonly args?: Readonly<Record<string, unknown>>;
}

export function toPerfetto(events: readonly JournalEvent[]): string {
  const tracks = new Tracks();
  const startMs = events.reduce((first, event) => Math.min(first, event.at - (event.ms ?? 0)), Infinity);
  const microseconds = (ms: number): number => Math.round((ms - startMs) * 1000);
  const body = events.flatMap((event) => traceEventsOf(event, tracks.of(event), microseconds));
  const lines = [...tracks.names, ...body].map((event) => JSON.stringify(event));
  return `{"displayTimeUnit":"ms","traceEvents":[\n${lines.join(',\n')}\n]}\n`;
}

function traceEventsOf(
  event: JournalEvent,
  track: { pid: number; tid: number },
  microseconds: (ms: number) => number,
): TraceEvent[] {
  const { id } = event;
  const name = event.kind ?? event.type;
  const ts = microseconds(event.at);
  switch (event.type) {
    case 'send':
      return id === undefined ? [] : [{ ph: 's', name, cat: 'message', id, ...track, ts }];
    case 'handled': {
      const ms = event.ms ?? 0;
      const begin = microseconds(event.at - ms);
      const slice: TraceEvent = {
        ph: 'X',
        name,
        cat: 'handle',
        ...track,
        ts: begin,
        dur: Math.round(ms * 1000),
        args: argsOf(event),
      };
      if (id === undefined) return [slice];
      return [slice, { ph: 'f', name, cat: 'message', id, bp: 'e', ...track, ts: begin }];
    }
    case 'fault':
      return [{ ph: 'i', name: `fault: ${name}`, s: 'g', ...track, ts, args: argsOf(event) }];
    case 'drop':
    case 'dead':
    case 'crash':
    case 'restart':
    case 'spawn':
    case 'stop':
    case 'note': {
      const label = event.type === 'note' ? name : `${event.type}: ${name}`;
      return [{ ph: 'i', name: label, s: 't', ...track, ts, args: argsOf(event) }];
    }
    case 'recv':
    case 'handle':
      return [];
    default:
      event.type satisfies never;
      return [];
  }
}

function argsOf(event: JournalEvent): Record<string, unknown> {
  const { id, cause, trace, from, to, reason, detail } = event;
  return Object.fromEntries(
    Object.entries({ id, cause, trace, from, to, reason, ...detail }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

/** Numbers for nodes and their actors, in order of appearance. */
class Tracks {
  readonly names: TraceEvent[] = [];
  readonly #nodes = new Map<string, { pid: number; actors: Map<string, number> }>();

  of(event: JournalEvent): { pid: number; tid: number } {
    let node = this.#nodes.get(event.node);
    if (node === undefined) {
      node = { pid: this.#nodes.size + 1, actors: new Map() };
      this.#nodes.set(event.node, node);
      this.names.push({ ph: 'M', name: 'process_name', pid: node.pid, tid: 0, args: { name: event.node } });
    }
    const actor = pathOf(event) ?? '/';
    let tid = node.actors.get(actor);
    if (tid === undefined) {
      tid = node.actors.size + 1;
      node.actors.set(actor, tid);
      this.names.push({ ph: 'M', name: 'thread_name', pid: node.pid, tid, args: { name: actor } });
    }
    return { pid: node.pid, tid };
  }
}
