/** `kabuki fault ...`: breaks the running cluster on purpose, and mends it. */
import { Command, InvalidArgumentError } from 'commander';
import type { FaultRule } from '../../transport/index.js';
import { type ClusterSpec, machineNamed } from '../cluster-spec.js';
import type { DataDir } from '../data-dir.js';
import { refuseExternalStore } from '../external-store.js';
import type { LauncherStatus } from '../launcher.js';
import { table } from './lifecycle.js';
import { control, dataDirOption, isUnreachable, openDataDir, wholeNumber } from './options.js';

/** Of a machine, until its components run. */
const startTimeoutMs = 60_000;
/** A fault with an end. */
const forSecondsMax = 86_400;
/** Of a letter; a timer of Node that is set for more than 2^31 ms fires at once. */
const delayMsMax = 600_000;

interface Common {
  readonly dataDir: string;
}

export function faultCommand(): Command {
  const fault = new Command('fault').description('break the cluster on purpose: links, machines, actors');
  const subcommand = (usage: string, description: string) =>
    fault.command(usage).description(description).addOption(dataDirOption());

  subcommand(
    'partition <machines> [others]',
    'cut all links between two groups (a,b c,d; one group: against the rest)',
  )
    .option('--one-way', 'cut only what the first group sends to the second')
    .option('--for <seconds>', 'heal by itself after that time', duration)
    .action(
      async (
        first: string,
        second: string | undefined,
        options: Common & { oneWay?: boolean; for?: number },
      ) => {
        await partition(openDataDir(options), first, second, options);
      },
    );
  subcommand('isolate <machine>', 'cut one machine off from all others (also: leader)')
    .option('--for <seconds>', 'heal by itself after that time', duration)
    .action(async (machine: string, options: Common & { for?: number }) => {
      await partition(openDataDir(options), machine, undefined, options);
    });
  subcommand('link <from> <to>', 'make the link from one group to another bad (* is all machines)')
    .option('--drop <probability>', 'lose letters, 0 to 1', probability)
    .option('--delay <ms>', 'delay every letter, MIN-MAX milliseconds', millisecondRange)
    .option('--duplicate <probability>', 'deliver letters twice, 0 to 1', probability)
    .option('--reorder <probability>', 'let letters be overtaken within 100 ms, 0 to 1', probability)
    .option('--kind <kind...>', 'only letters of these kinds, such as RaftAppend (docs/faults.md lists them)')
    .action((from: string, to: string, options: Common & LinkOptions) =>
      badLink(openDataDir(options), from, to, options),
    );
  for (const [name, what] of [
    ['kill', 'SIGKILL a machine (also: leader)'],
    ['pause', 'SIGSTOP a machine (also: leader)'],
    ['resume', 'SIGCONT a paused machine'],
    ['start', 'start a killed machine again'],
  ] as const) {
    subcommand(`${name} <machine>`, what).action(async (machine: string, options: Common) => {
      const dir = openDataDir(options);
      const resolved = await resolveOne(dir, machine);
      if (name === 'start') await refuseStarted(dir, resolved);
      await control(dir, 'launcher', name, { machine: resolved }, startTimeoutMs);
      console.log(`${resolved}: ${name} done`);
    });
  }
  subcommand(
    'crash <machine> <actor>',
    'crash an actor, such as master-1 /kubelet; its supervisor restarts it',
  ).action(async (machine: string, actor: string, options: Common) => {
    const dir = openDataDir(options);
    const resolved = await resolveOne(dir, machine);
    await control(dir, resolved, 'crash', { path: actor });
    console.log(`${resolved}${actor}: crashed`);
  });
  subcommand('heal', 'remove all link faults, resume paused machines, start killed ones').action(
    (options: Common) => heal(openDataDir(options)),
  );
  subcommand('list', 'what is broken now').action((options: Common) => list(openDataDir(options)));
  return fault;
}

async function refuseStarted(dir: DataDir, name: string): Promise<void> {
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  const state = machines.find((machine) => machine.name === name)?.state;
  if (state === 'paused') throw new Error(`${name} is paused: "kabuki fault resume ${name}"`);
  if (state !== 'exited') throw new Error(`${name} is ${state} already`);
}

interface LinkOptions {
  readonly drop?: number;
  readonly delay?: { readonly minMs: number; readonly maxMs: number };
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly kind?: readonly string[];
}

async function partition(
  dir: DataDir,
  first: string,
  second: string | undefined,
  options: { readonly oneWay?: boolean; readonly for?: number },
): Promise<void> {
  const spec = dir.readSpec();
  const left = await resolveGroup(dir, first);
  const right =
    second === undefined
      ? spec.machines.map((machine) => machine.name).filter((name) => !left.includes(name))
      : await resolveGroup(dir, second);
  const shared = left.filter((name) => right.includes(name));
  if (shared.length > 0) throw new Error(`${shared.join(', ')} cannot be on both sides of a partition`);
  if (right.length === 0)
    throw new Error(`there is no machine besides ${left.join(', ')} to be cut off from`);
  // A second partition of the same group is one more: what has the same id takes the place of what was there.
  const id = ['partition', left.join('+'), ...(second === undefined ? [] : [right.join('+')])].join('-');
  const rules: FaultRule[] = [{ id, from: left, to: right, action: { type: 'cut' } }];
  if (!options.oneWay) rules.push({ id: `${id}-back`, from: right, to: left, action: { type: 'cut' } });
  await applyRules(dir, spec, rules, options.for);
  const arrow = options.oneWay ? '->' : '<->';
  console.log(
    `cut ${left.join(', ')} ${arrow} ${right.join(', ')}${options.for ? ` for ${options.for} s` : ''}`,
  );
}

async function badLink(dir: DataDir, from: string, to: string, options: LinkOptions): Promise<void> {
  if (options.kind) {
    // Knows all components, which other commands need not load.
    const { checkKinds } = await import('../letter-kinds.js');
    checkKinds(options.kind);
  }
  const spec = dir.readSpec();
  const sides = { from: await resolveGroup(dir, from), to: await resolveGroup(dir, to) };
  const [one] = sides.from;
  // What a machine says to itself goes over no link.
  if ([...sides.from, ...sides.to].every((name) => name === one)) {
    throw new Error(`no fault is between ${one} and itself: name two machines`);
  }
  const kinds = options.kind && { kinds: options.kind };
  const id = (what: string) => [what, from, to, ...(options.kind ?? []).toSorted()].join('-');
  const rules: FaultRule[] = [];
  const add = (what: string, action: FaultRule['action']) =>
    rules.push({ id: id(what), ...sides, ...kinds, action });
  if (options.drop !== undefined) add('drop', { type: 'drop', probability: options.drop });
  if (options.delay) add('delay', { type: 'delay', ...options.delay });
  if (options.duplicate !== undefined)
    add('duplicate', { type: 'duplicate', probability: options.duplicate });
  if (options.reorder !== undefined)
    add('reorder', { type: 'reorder', probability: options.reorder, windowMs: 100 });
  if (rules.length === 0)
    throw new Error('say what is to go wrong: --drop, --delay, --duplicate or --reorder');
  await applyRules(dir, spec, rules);
  for (const rule of rules) console.log(`${rule.id}: applied`);
}

/** Every sender judges its own letters, so a rule goes to the machines that it names as `from`. */
async function applyRules(
  dir: DataDir,
  spec: ClusterSpec,
  rules: readonly FaultRule[],
  seconds?: number,
): Promise<void> {
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  const paused = new Set(machines.filter(({ state }) => state === 'paused').map(({ name }) => name));
  const named = (rule: FaultRule) =>
    rule.from.includes('*') ? spec.machines.map((machine) => machine.name) : rule.from;
  for (const name of new Set(rules.flatMap(named))) {
    // It would hear of the rule when it is resumed, or not.
    if (paused.has(name)) console.error(`${name}: is paused, and sends as before once it is resumed`);
  }
  for (const rule of rules) {
    const senders = named(rule).filter((name) => !paused.has(name));
    await Promise.all(
      senders.map((machine) =>
        control(dir, machine, 'fault.add', { rule, ...(seconds && { forMs: seconds * 1000 }) }).catch(
          (error: Error) => {
            if (!isUnreachable(error)) throw error;
            // A dead machine sends nothing: the rule has no meaning for it.
            console.error(`${machine}: ${error.message}`);
          },
        ),
      ),
    );
  }
}

/** Each machine by itself: one that cannot be mended does not keep the others broken. */
async function heal(dir: DataDir): Promise<void> {
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  const outcomes = await Promise.allSettled(machines.map((machine) => healMachine(dir, machine)));
  const failures = outcomes.flatMap((outcome, i) =>
    outcome.status === 'rejected' ? [`${machines[i]?.name}: ${(outcome.reason as Error).message}`] : [],
  );
  if (failures.length > 0) throw new Error(`not healed: ${failures.join('; ')}`);
  console.log('healed');
}

async function healMachine(dir: DataDir, { name, state }: LauncherStatus['machines'][number]): Promise<void> {
  if (state === 'paused') await control(dir, 'launcher', 'resume', { machine: name });
  // One that was started anew has no faults.
  if (state === 'exited') await control(dir, 'launcher', 'start', { machine: name }, startTimeoutMs);
  else await control(dir, name, 'fault.clear');
}

async function list(dir: DataDir): Promise<void> {
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  const rows: string[][] = [];
  for (const machine of machines) {
    if (machine.state !== 'running') rows.push([machine.name, machine.state, '', '']);
    else {
      const { rules } = await control<{ rules: FaultRule[] }>(dir, machine.name, 'fault.list');
      for (const rule of rules)
        rows.push([machine.name, rule.id, describe(rule), (rule.kinds ?? ['all']).join(',')]);
    }
  }
  console.log(rows.length === 0 ? 'nothing is broken' : table(['MACHINE', 'FAULT', 'EFFECT', 'KINDS'], rows));
}

function describe(rule: FaultRule): string {
  const { action } = rule;
  const towards = `to ${rule.to.join(',')}`;
  switch (action.type) {
    case 'cut':
      return `cut ${towards}`;
    case 'delay':
      return `delay ${action.minMs}-${action.maxMs} ms ${towards}`;
    case 'drop':
    case 'duplicate':
    case 'reorder':
      return `${action.type} ${action.probability} ${towards}`;
  }
}

/** `a,b`, `*`, or `leader`: the machine whose store member leads. */
async function resolveGroup(dir: DataDir, text: string): Promise<string[]> {
  const spec = dir.readSpec();
  const names = await Promise.all(
    text.split(',').map(async (name) => {
      if (name === '*') return spec.machines.map((machine) => machine.name);
      if (name === 'leader') return [await storeLeader(dir)];
      return [machineNamed(spec, name).name];
    }),
  );
  return [...new Set(names.flat())];
}

/** What is done to one machine is not done to the first of many. */
async function resolveOne(dir: DataDir, text: string): Promise<string> {
  const [name, ...more] = await resolveGroup(dir, text);
  if (name === undefined || more.length > 0) {
    throw new Error(`name one machine, not ${[name, ...more].join(', ')}`);
  }
  return name;
}

export async function storeLeader(dir: DataDir): Promise<string> {
  refuseExternalStore(dir.readSpec());
  const { machines } = await control<LauncherStatus>(dir, 'launcher', 'status');
  for (const machine of machines) {
    if (machine.state !== 'running' || machine.role !== 'master') continue;
    const status = await control<{ store?: { role: string } }>(dir, machine.name, 'status').catch(
      () => undefined,
    );
    if (status?.store?.role === 'leader') return machine.name;
  }
  throw new Error('the store has no leader now');
}

function duration(text: string): number {
  const seconds = wholeNumber(text);
  if (seconds >= 1 && seconds <= forSecondsMax) return seconds;
  throw new InvalidArgumentError(`it must be from 1 to ${forSecondsMax} seconds`);
}

function probability(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('it must be a number from 0 to 1');
  return value;
}

function millisecondRange(text: string): { minMs: number; maxMs: number } {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!match) throw new InvalidArgumentError('it must be MIN-MAX or one number, in milliseconds');
  const minMs = Number(match[1]);
  const maxMs = match[2] === undefined ? minMs : Number(match[2]);
  if (maxMs < minMs) throw new InvalidArgumentError('MAX must not be below MIN');
  if (maxMs > delayMsMax) throw new InvalidArgumentError(`it must not be above ${delayMsMax} ms`);
  return { minMs, maxMs };
}
