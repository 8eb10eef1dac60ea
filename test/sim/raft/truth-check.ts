/**
 * Strict serializability by the store's own claim. Every reply names a revision, and revisions are one total order: so each
 * operation must be what the committed history says at its revision, and no operation may name an earlier revision than one
 * that had returned before it was called. Whole transactions are judged, and what happened without being asked for.
 */
import type { History, Intent, Outcome, Recorded, Version } from './history.js';
import type { Truth } from './truth.js';

type Ok = Extract<Outcome, { type: 'ok' }>;

export interface TruthCheckOptions {
  readonly history: History;
  readonly truth: Truth;
  /** Keys that come and go with leases, which `lease-check.ts` judges. */
  readonly isLeased: (key: string) => boolean;
  readonly fail: (message: string) => never;
}

export function checkAgainstTruth(options: TruthCheckOptions): void {
  const { history, truth, fail } = options;
  for (const recorded of history.operations) {
    const { outcome } = recorded;
    if (outcome.type === 'refused') checkNothingHappened(recorded, options);
    if (outcome.type !== 'ok') continue;
    if (outcome.revision > truth.head) fail(`${told(recorded)}, beyond the last revision ${truth.head}`);
    checkEffect(recorded, outcome, options);
  }
  checkRealTime(history.operations, fail);
  checkNothingInvented(options);
}

function checkEffect(recorded: Recorded, outcome: Ok, { truth, fail }: TruthCheckOptions): void {
  const { intent } = recorded;
  const at = intent.type === 'read' && intent.revision ? intent.revision : outcome.revision;
  const before = outcome.wrote && intent.type === 'delete' ? at - 1 : at;
  for (const [key, seen] of outcome.seen) {
    const real = truth.at(key, before);
    if (!same(seen, real)) fail(`${told(recorded)}, but ${key} was ${show(real)} at ${before}`);
  }
  const expected = outcome.wrote ? effectOf(intent) : '';
  if (outcome.wrote) {
    const real = truth.changesAt(at).map((c) => `${c.key}=${c.deleted ? '' : c.value}`);
    if (real.join() !== expected) fail(`${told(recorded)}, but revision ${at} is ${real.join()}`);
  }
  if (intent.type !== 'cas') return;
  const wasAt = outcome.wrote ? at - 1 : at;
  const matches = (truth.at(intent.key, wasAt)?.mod ?? 0) === intent.expectedMod;
  if (matches !== outcome.wrote) fail(`${told(recorded)}, though the compare said otherwise`);
}

function effectOf(intent: Intent): string {
  switch (intent.type) {
    case 'put':
      return intent.entries.map(([key, value]) => `${key}=${value}`).join();
    case 'delete':
      return `${intent.key}=`;
    case 'cas':
      return `${intent.key}=${intent.value}`;
    case 'read':
    case 'revision':
      return 'a write';
  }
}

function checkNothingHappened(recorded: Recorded, { truth, fail }: TruthCheckOptions): void {
  const values = new Set(valuesOf(recorded.intent));
  if (values.size === 0) return;
  const change = truth.changes.find(({ value }) => values.has(value));
  if (change) fail(`${told(recorded)}, but it took effect at ${change.mod}`);
}

/** Also finds a write that was carried out twice, and one that nobody asked for. */
function checkNothingInvented({ history, truth, isLeased, fail }: TruthCheckOptions): void {
  const asked = new Set(history.operations.flatMap(({ intent }) => valuesOf(intent)));
  const deleted = new Set(
    history.operations.flatMap(({ intent }) => (intent.type === 'delete' ? [intent.key] : [])),
  );
  const done = new Map<string, number>();
  for (const { key, value, mod, deleted: isDelete } of truth.changes) {
    if (isLeased(key)) continue;
    if (isDelete && !deleted.has(key)) fail(`${key} was deleted at ${mod}, which nobody asked for`);
    if (isDelete) continue;
    if (!asked.has(value)) fail(`nobody wrote ${value} (${key} at ${mod})`);
    const earlier = done.get(value);
    if (earlier !== undefined && earlier !== mod)
      fail(`${value} was written twice, at ${earlier} and ${mod}`);
    done.set(value, mod);
  }
}

/** Whoever asks later is told no earlier revision; and a write's own revision is later than all told before. */
function checkRealTime(operations: readonly Recorded[], fail: (message: string) => never): void {
  const ordered = operations
    .filter((recorded): recorded is Recorded & { outcome: Ok } => recorded.outcome.type === 'ok')
    .filter(({ intent }) => !(intent.type === 'read' && intent.serializable));
  const returns = ordered.toSorted((a, b) => a.return - b.return);
  let told0 = 0;
  let by: Recorded | undefined;
  let next = 0;
  for (const recorded of ordered.toSorted((a, b) => a.call - b.call)) {
    for (; next < returns.length && returns[next]!.return < recorded.call; next++) {
      const { outcome } = returns[next]!;
      if (outcome.revision > told0) [told0, by] = [outcome.revision, returns[next]];
    }
    const { revision, wrote } = recorded.outcome;
    if (revision < told0 || (wrote && revision === told0)) {
      fail(`stale: ${told(recorded)}, after ${by ? told(by) : ''} had returned`);
    }
  }
}

function valuesOf(intent: Intent): readonly string[] {
  if (intent.type === 'put') return intent.entries.map(([, value]) => value);
  return intent.type === 'cas' ? [intent.value] : [];
}

function same(seen: Version | null, real: Version | null): boolean {
  if (seen === null || real === null) return seen === real;
  return (
    seen.value === real.value &&
    seen.mod === real.mod &&
    seen.create === real.create &&
    seen.version === real.version
  );
}

export function told({ client, intent, outcome }: Recorded): string {
  if (outcome.type !== 'ok')
    return `${client}'s ${JSON.stringify(intent)} was ${outcome.type} (${outcome.why})`;
  const seen = [...outcome.seen].map(([key, version]) => `${key}: ${show(version)}`).join(', ');
  const what = outcome.wrote ? 'written' : 'read';
  return `${client}'s ${JSON.stringify(intent)} was ${what} at ${outcome.revision}${seen && ` seeing ${seen}`}`;
}

function show(version: Version | null): string {
  return version === null
    ? 'nothing'
    : `${version.value}@${version.mod}/${version.create}/${version.version}`;
}
