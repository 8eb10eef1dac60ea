/**
 * Alarms of the group (etcd: AlarmRequest), part of the replicated state, so that every member refuses alike. NoSpace refuses
 * what makes the store larger. Corrupt names the member whose state differs from the others'; without a name nobody knows who
 * is right, and every request is refused.
 */
import { digestOfAll } from './digest.js';
import { KvError } from './errors.js';
import type { Alarm, AlarmType } from './types.js';

export class Alarms {
  readonly #raised = new Map<string, Alarm>();

  /** Each once; sorted, so that every member lists the same. */
  all(): Alarm[] {
    const byMember = (a: Alarm, b: Alarm) => (a.member < b.member ? -1 : a.member > b.member ? 1 : 0);
    return [...this.#raised.values()].sort((a, b) => byMember(a, b) || (a.type < b.type ? -1 : 1));
  }

  has(type: AlarmType, member: string): boolean {
    return this.#raised.has(keyOf(type, member));
  }

  /** False: it was raised already. */
  raise(alarm: Alarm): boolean {
    const isNew = !this.has(alarm.type, alarm.member);
    if (isNew) this.#raised.set(keyOf(alarm.type, alarm.member), alarm);
    return isNew;
  }

  /** False: it was not raised. */
  disarm({ type, member }: Alarm): boolean {
    return this.#raised.delete(keyOf(type, member));
  }

  get digest(): number {
    return digestOfAll(this.all().flatMap(({ type, member }) => [type, member]));
  }

  /** Why nothing may be read or written, if so. */
  get corrupt(): KvError | undefined {
    return this.has('Corrupt', '') ? new KvError('Corrupt', 'etcdserver: corrupt cluster') : undefined;
  }

  get isOutOfSpace(): boolean {
    if (this.#raised.size === 0) return false;
    return this.all().some((alarm) => alarm.type === 'NoSpace');
  }
}

export function noSpace(): KvError {
  return new KvError('NoSpace', 'etcdserver: mvcc: database space exceeded');
}

function keyOf(type: AlarmType, member: string): string {
  return `${type} ${member}`;
}
