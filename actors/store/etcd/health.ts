/**
 * /health, /livez and /readyz as etcd 3.5 and 3.6 answer them (server/etcdserver/api/etcdhttp/health.go): with `exclude`,
 * `serializable` and `verbose`, and each check at a path of its own. They ask the store as the group itself: rights are no
 * concern of a probe, and no answer shows a key.
 */
import type { AlarmType } from 'raft-consensus';
import type { StoreClient } from '../client.js';
import type { ClusterView } from './cluster-view.js';
import type { Page } from './door.js';
import type { Sample } from './rpc-counts.js';
import { toGrpcError } from './status.js';

export interface HealthOptions {
  readonly view: ClusterView;
  readonly client: StoreClient;
  readonly local: StoreClient;
  /** Of a check's read. */
  readonly timeoutMs: number;
}

/** Undefined when all is well; else what is not. */
type Check = (options: HealthOptions) => Promise<string | undefined>;

const alarmNames: Readonly<Record<AlarmType, string>> = { NoSpace: 'NOSPACE', Corrupt: 'CORRUPT' };

const checks: Readonly<Record<'livez' | 'readyz', Readonly<Record<string, Check>>>> = {
  livez: { serializable_read: (options) => read(options, true) },
  readyz: {
    data_corruption: async ({ view }) => {
      const { alarms } = await view.status();
      return alarms.some(({ type }) => type === 'Corrupt') ? 'alarm activated: CORRUPT' : undefined;
    },
    serializable_read: (options) => read(options, true),
    linearizable_read: (options) => read(options, false),
    non_learner: async ({ view }) => {
      const { member, members } = await view.status();
      const isLearner = members.some(({ name, voter }) => name === member && !voter);
      return isLearner ? 'not supported for learner' : undefined;
    },
  },
};

/** How often which check went how; for /metrics. */
export class HealthRecord {
  readonly #counts = new Map<string, Sample & { value: number }>();
  healthy = 0;
  unhealthy = 0;

  note(probe: string, check: string, isWell: boolean): void {
    const status = isWell ? 'success' : 'error';
    const key = `${probe} ${check} ${status}`;
    const known = this.#counts.get(key);
    if (known) known.value += 1;
    else this.#counts.set(key, { labels: { type: probe, name: check, status }, value: 1 });
  }

  samples(): readonly Sample[] {
    return [...this.#counts.values()];
  }
}

/** Undefined for a path that is none of theirs. */
export async function healthPage(
  path: string,
  query: URLSearchParams,
  options: HealthOptions,
  record: HealthRecord,
): Promise<Page | undefined> {
  if (path === '/health') return health(query, options, record);
  const [probe, name, ...more] = path.slice(1).split('/');
  if ((probe !== 'livez' && probe !== 'readyz') || more.length > 0) return undefined;
  const all = checks[probe];
  if (name !== undefined && !Object.hasOwn(all, name)) return undefined;
  const excluded = query.getAll('exclude');
  const names = name === undefined ? Object.keys(all).filter((one) => !excluded.includes(one)) : [name];
  const lines: string[] = [];
  let isWell = true;
  for (const one of names) {
    const problem = await outcome(all[one]!, options);
    record.note(probe, one, problem === undefined);
    if (problem !== undefined) isWell = false;
    lines.push(problem === undefined ? `[+]${one} ok\n` : `[-]${one} failed: ${problem}\n`);
  }
  const detail = lines.join('');
  if (!isWell) return { status: 503, type: text, body: `${detail}\n` };
  return { status: 200, type: text, body: `${query.has('verbose') ? detail : ''}ok\n` };
}

const text = 'text/plain; charset=utf-8';

async function health(query: URLSearchParams, options: HealthOptions, record: HealthRecord): Promise<Page> {
  const isLocal = query.get('serializable') === 'true';
  const reason = await outcome(
    async () =>
      (await alarmOrLeader(options, query.getAll('exclude'), isLocal)) ??
      rangeError(await read(options, isLocal)),
    options,
  );
  if (reason === undefined) record.healthy += 1;
  else record.unhealthy += 1;
  const body = JSON.stringify({ health: reason === undefined ? 'true' : 'false', reason: reason ?? '' });
  if (reason === undefined) return { status: 200, type: 'application/json', body };
  return { status: 503, type: text, body: `${body}\n` };
}

async function alarmOrLeader(
  { view }: HealthOptions,
  excluded: readonly string[],
  isLocal: boolean,
): Promise<string | undefined> {
  const { alarms, leader } = await view.status();
  const raised = alarms.find(({ type }) => !excluded.includes(alarmNames[type]));
  if (raised) return `ALARM ${alarmNames[raised.type]}`;
  return leader === null && !isLocal ? 'RAFT NO LEADER' : undefined;
}

function rangeError(problem: string | undefined): string | undefined {
  return problem === undefined ? undefined : `RANGE ERROR:${problem}`;
}

/** Of the member beside the front, or agreed on by the group. */
async function read(
  { client, local, timeoutMs }: HealthOptions,
  serializable: boolean,
): Promise<string | undefined> {
  const near = serializable ? local : client;
  try {
    await near.range({ type: 'range', key: 'health', countOnly: true }, { timeoutMs, serializable });
    return undefined;
  } catch (error) {
    return toGrpcError(error).message;
  }
}

/** A member that does not answer is not well. */
async function outcome(check: Check, options: HealthOptions): Promise<string | undefined> {
  try {
    return await check(options);
  } catch (error) {
    return toGrpcError(error).message;
  }
}
