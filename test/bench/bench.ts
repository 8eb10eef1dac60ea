/**
 * Entry of `npm run bench` and `npm run bench:NAME`: runs the named benchmarks one after the other, prints a table, and
 * writes its rows with `--json FILE`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { numberFrom, oneOf, wholeNumberFrom } from '../harness/options.js';
import { apiserverBench } from './apiserver.bench.js';
import { type ClientKind, clientKinds } from './calls.js';
import { etcdVersion } from './etcd-group.js';
import { failoverBench } from './failover.bench.js';
import { grpcBench } from './grpc.bench.js';
import { idleBench } from './idle.bench.js';
import { largeBench } from './large.bench.js';
import { sizeBench } from './size.bench.js';
import { startupBench } from './startup.bench.js';
import { storeBench } from './store.bench.js';
import type { Bench } from './suite.js';
import { valuesBench } from './values.bench.js';
import { type BenchRow, formatRows, writeRows } from './table.js';

const benches: Readonly<Record<string, Bench>> = {
  'store-zeromq': storeBench,
  'store-grpc': grpcBench,
  size: sizeBench,
  large: largeBench,
  values: valuesBench,
  startup: startupBench,
  idle: idleBench,
  failover: failoverBench,
  apiserver: apiserverBench,
};

/** They take long, and much of the disk. */
const byNameOnly: ReadonlySet<string> = new Set(['large', 'values']);

interface Options {
  readonly against?: 'etcd' | 'none';
  readonly json?: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly dir: string;
  readonly node: string;
  readonly client: ClientKind;
}

const program = new Command('bench')
  .argument(
    '[name]',
    `one of ${Object.keys(benches).join(', ')}, or how their names begin; default: all but ${[...byNameOnly].join()}`,
  )
  .option(
    '--against <peer>',
    'etcd: required; none: left out (default: etcd where it is installed)',
    oneOf(['etcd', 'none']),
  )
  .option('--json <file>', 'write the rows there, as JSON')
  .option('--rounds <n>', 'per measurement; the median counts', wholeNumberFrom(1), 3)
  .option('--seconds <s>', 'length of a round', numberFrom(0.1, 600), 2)
  .option('--dir <folder>', 'on the disk to measure', tmpdir())
  .option('--node <flags>', 'further options of node for the members of the store', '')
  .option(
    '--client <kind>',
    'what loads a store over gRPC: node (node:http2) or light (frames by hand)',
    oneOf(clientKinds),
    'node',
  )
  .action(async (name: string | undefined, options: Options) => {
    const rows = await runAll(name, options);
    console.log(formatRows(rows));
    if (options.json !== undefined) writeRows(options.json, rows);
  });
await program.parseAsync();
process.exit(process.exitCode);

async function runAll(name: string | undefined, options: Options): Promise<BenchRow[]> {
  const chosen = Object.entries(benches).filter(([each]) =>
    name === undefined ? !byNameOnly.has(each) : each.split('-')[0] === name || each === name,
  );
  if (chosen.length === 0)
    program.error(`error: no benchmark is called ${name}; there are ${Object.keys(benches).join(', ')}`);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  say(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, node ${process.version}`);
  const etcd = await peerVersion(options.against);
  if (etcd === undefined) say('etcd is left out: the store is measured without its peer');
  const rows: BenchRow[] = [];
  for (const [each, bench] of chosen) {
    const folder = mkdtempSync(join(options.dir, `kabuki-bench-${each}-`));
    try {
      rows.push(
        ...(await bench({
          folder,
          etcd,
          rounds: options.rounds,
          seconds: options.seconds,
          client: options.client,
          nodeFlags: options.node.split(' ').filter((flag) => flag !== ''),
          say: (line) => say(`${each}: ${line}`),
        })),
      );
    } catch (error) {
      // The others are still worth their time.
      say(`${each} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      process.exitCode = 1;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return rows;
}

async function peerVersion(against: Options['against']): Promise<string | undefined> {
  if (against === 'none') return undefined;
  const version = await etcdVersion();
  if (version === undefined && against === 'etcd')
    program.error('error: etcd is not installed (apt-get install etcd-server etcd-client)');
  return version;
}
