/** Closed loop of puts: every client waits for its answer before it writes again. The same for every store. */
import { bytesWrittenBy, cpuMs, cpuMsOf } from './figures.js';

export interface PutTarget {
  readonly pids: readonly number[];
  put(key: string, value: Uint8Array): Promise<void>;
  /** A linearizable read of one key. */
  get(key: string): Promise<void>;
  stop(): Promise<void>;
}

export interface PutRound {
  /** Calls answered. */
  readonly count: number;
  readonly perSecond: number;
  /** Medians and tails of the time from call to answer, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** To the disks of all servers together, for one put. */
  readonly bytesWritten: number;
  /** CPU time of the servers and of this process for 1,000 puts, ms. */
  readonly serverCpuMs: number;
  readonly clientCpuMs: number;
}

export const keyBytes = 8;
export const valueBytes = 256;
const keySpace = 10_000;

export function loadPuts(target: PutTarget, clients: number, durationMs: number): Promise<PutRound> {
  const value = Buffer.alloc(valueBytes, 0x61);
  return loadCalls(target.pids, clients, durationMs, (n) => target.put(nameOf(n), value));
}

export function loadGets(target: PutTarget, clients: number, durationMs: number): Promise<PutRound> {
  return loadCalls(target.pids, clients, durationMs, (n) => target.get(nameOf(n)));
}

function nameOf(n: number): string {
  return String(n % keySpace).padStart(keyBytes, '0');
}

/** The same loop around anything. */
export async function loadCalls(
  pids: readonly number[],
  clients: number,
  durationMs: number,
  call: (n: number) => Promise<void>,
): Promise<PutRound> {
  const latencies: number[] = [];
  const serverBefore = cpuMsOf(pids);
  const writtenBefore = bytesWrittenBy(pids);
  const clientBefore = cpuMs(process.pid);
  const begun = performance.now();
  const end = begun + durationMs;
  let next = 0;
  const client = async () => {
    for (let now = performance.now(); now < end;) {
      next += 1;
      await call(next);
      const answered = performance.now();
      latencies.push(answered - now);
      now = answered;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - begun) / 1000;
  const count = latencies.length;
  latencies.sort((a, b) => a - b);
  return {
    count,
    perSecond: count / seconds,
    p50Ms: latencies[Math.floor(count / 2)] ?? Number.NaN,
    p99Ms: latencies[Math.floor(count * 0.99)] ?? Number.NaN,
    serverCpuMs: ((cpuMsOf(pids) - serverBefore) / count) * 1000,
    bytesWritten: (bytesWrittenBy(pids) - writtenBefore) / count,
    clientCpuMs: ((cpuMs(process.pid) - clientBefore) / count) * 1000,
  };
}
