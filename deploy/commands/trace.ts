/** `kabuki trace`: what the journals of all nodes say, as text or for a viewer. */
import { Command, Option } from 'commander';
import {
  formatEvent,
  JournalTail,
  mergeJournals,
  type JournalEvent,
  ofObject,
  ofTrace,
  readJournals,
  toMermaid,
  toOtlp,
  toPerfetto,
  toShiviz,
} from '../../transport/index.js';
import type { DataDir } from '../data-dir.js';
import type { LauncherStatus } from '../launcher.js';
import { control, dataDirOption, openDataDir } from './options.js';

const formats = {
  text: (events: readonly JournalEvent[]) => events.map(describe).join('\n'),
  ndjson: (events: readonly JournalEvent[]) => events.map(formatEvent).join('\n'),
  mermaid: (events: readonly JournalEvent[]) => toMermaid(events),
  perfetto: toPerfetto,
  otlp: toOtlp,
  shiviz: (events: readonly JournalEvent[]) => toShiviz(events),
} as const;
type Format = keyof typeof formats;

const followIntervalMs = 300;
const followWindowEvents = 20_000;

export function traceCommand(): Command {
  return new Command('trace')
    .description('messages, faults and crashes of all nodes, cause before effect')
    .addOption(dataDirOption())
    .argument('[object]', 'only what concerns an object, such as pod/web-1 or deployments/default/web')
    .option('--id <trace>', 'only one trace: the id of the response header Kabuki-Trace-Id')
    .addOption(new Option('--format <format>').choices(Object.keys(formats)).default('text'))
    .option('--follow', 'go on with what happens (text and ndjson)')
    .action(async (object: string | undefined, options: TraceOptions) => {
      const dir = openDataDir(options);
      const select = selection(object, options.id);
      if (options.follow) await follow(dir, select, options.format);
      else {
        const events = select(await allEvents(dir));
        if (events.length === 0 && dir.journalPaths(dir.readSpec()).length === 0)
          throw new Error(`there are no journals in ${dir.path}: "kabuki store run --trace" writes them`);
        if (events.length === 0)
          throw new Error('the journals hold nothing of that (old journals are rotated away)');
        console.log(formats[options.format](events));
      }
    });
}

interface TraceOptions {
  readonly dataDir: string;
  readonly id?: string;
  readonly format: Format;
  readonly follow?: boolean;
}

type Select = (events: readonly JournalEvent[]) => readonly JournalEvent[];

function selection(object: string | undefined, trace: string | undefined): Select {
  if (object !== undefined && trace !== undefined) throw new Error('give an object or --id, not both');
  if (trace !== undefined) return (events) => ofTrace(events, trace);
  if (object !== undefined) return (events) => ofObject(events, object);
  return (events) => events;
}

/** The whole trace of the request that made or last changed an object. */
export async function traceOfObject(dir: DataDir, object: string, format: Format): Promise<string> {
  const events = await allEvents(dir);
  const first = ofObject(events, object).find((event) => event.trace !== undefined);
  if (!first?.trace) throw new Error(`the journals do not know ${object}`);
  return formats[format](ofTrace(events, first.trace));
}

/** Of all nodes, flushed where a node still runs. */
async function allEvents(dir: DataDir): Promise<JournalEvent[]> {
  await flushAll(dir);
  return readJournals(dir.journalPaths(dir.readSpec()));
}

async function flushAll(dir: DataDir): Promise<void> {
  let machines: LauncherStatus['machines'];
  try {
    ({ machines } = await control<LauncherStatus>(dir, 'launcher', 'status'));
  } catch {
    // The cluster is down: its journals are complete.
    return;
  }
  const running = machines.filter((machine) => machine.state === 'running');
  const results = await Promise.allSettled(
    running.map((machine) => control(dir, machine.name, 'journal.flush')),
  );
  results.forEach((result, i) => {
    if (result.status === 'rejected')
      console.error(`${running[i]?.name}: ${(result.reason as Error).message}`);
  });
}

/** Prints what the nodes add to their journals, until it is interrupted. */
async function follow(dir: DataDir, select: Select, format: Format): Promise<void> {
  if (format !== 'text' && format !== 'ndjson')
    throw new Error(`--follow prints text or ndjson, not ${format}`);
  const tails = dir.journalPaths(dir.readSpec()).map((path) => new JournalTail(path));
  // What concerns an object can only be told from its neighbours: the last events are kept for that.
  let window: JournalEvent[] = [];
  const printed = new WeakSet<JournalEvent>();
  for (;;) {
    await flushAll(dir);
    const added = mergeJournals(tails.map((tail) => tail.poll()));
    window = [...window, ...added].slice(-followWindowEvents);
    for (const event of added.length === 0 ? [] : select(window)) {
      if (printed.has(event)) continue;
      printed.add(event);
      console.log(formats[format]([event]));
    }
    await new Promise((resolve) => setTimeout(resolve, followIntervalMs));
  }
}

/** `12:00:00.123  master-1  recv    StoreTxn  kabuki://... -> kabuki://...` */
function describe(event: JournalEvent): string {
  const time = new Date(event.at).toISOString().slice(11, 23);
  const route = event.from && event.to ? `${event.from} -> ${event.to}` : (event.actor ?? '');
  const extra = [
    event.reason,
    event.ms === undefined ? undefined : `${event.ms.toFixed(1)} ms`,
    ...Object.entries(event.detail ?? {}).map(([key, value]) => `${key}=${value}`),
  ].filter((part) => part !== undefined);
  const cells = [
    time,
    event.node.padEnd(16),
    event.type.padEnd(8),
    (event.kind ?? '').padEnd(22),
    route,
    ...extra,
  ];
  return cells.join('  ').trimEnd();
}
