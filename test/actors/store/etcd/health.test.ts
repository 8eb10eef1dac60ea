import { strict as assert } from 'node:assert';
import type { Alarm } from 'raft-consensus';
import { type HealthOptions, healthPage, HealthRecord } from '../../../../actors/store/etcd/health.js';
import { StoreError } from '../../../../actors/store/index.js';

interface Condition {
  readonly alarms?: readonly Alarm[];
  readonly leader?: string | null;
  readonly isLearner?: boolean;
  /** Which reads fail. */
  readonly fails?: 'linearizable' | 'all';
  readonly isSilent?: boolean;
}

async function ask(target: string, condition: Condition = {}) {
  const { alarms = [], leader = 'm', isLearner = false, fails, isSilent } = condition;
  const range = async (_op: object, { serializable }: { serializable: boolean }) => {
    if (fails === 'all' || (fails === 'linearizable' && !serializable)) {
      throw new StoreError('Timeout', 'nobody answered', true);
    }
  };
  const status = async () => {
    if (isSilent) throw new StoreError('Timeout', 'nobody answered', true);
    return { member: 'm', alarms, leader, members: [{ name: 'm', voter: !isLearner }] };
  };
  const options = { view: { status }, client: { range }, local: { range }, timeoutMs: 1 };
  const [path = '', query = ''] = target.split('?');
  const record = new HealthRecord();
  const page = await healthPage(
    path,
    new URLSearchParams(query),
    options as unknown as HealthOptions,
    record,
  );
  return page && `${page.status} ${page.body.trimEnd().replaceAll('\n', ' | ')}`;
}

const noSpace: Alarm = { type: 'NoSpace', member: 'm' };
const corrupt: Alarm = { type: 'Corrupt', member: 'm' };
const well = '200 {"health":"true","reason":""}';
const not = (reason: string) => `503 {"health":"false","reason":"${reason}"}`;

describe('health of an etcd front', () => {
  const cases: readonly [string, Condition, string | undefined][] = [
    ['/health', {}, well],
    ['/health', { alarms: [noSpace] }, not('ALARM NOSPACE')],
    ['/health?exclude=NOSPACE', { alarms: [noSpace] }, well],
    ['/health?exclude=NOSPACE', { alarms: [noSpace, corrupt] }, not('ALARM CORRUPT')],
    ['/health?exclude=NOSPACE&exclude=CORRUPT', { alarms: [noSpace, corrupt] }, well],
    ['/health', { leader: null }, not('RAFT NO LEADER')],
    ['/health?serializable=true', { leader: null, fails: 'linearizable' }, well],
    ['/health', { fails: 'linearizable' }, not('RANGE ERROR:etcdserver: request timed out')],
    ['/health?serializable=true', { fails: 'all' }, not('RANGE ERROR:etcdserver: request timed out')],
    ['/health', { isSilent: true }, not('etcdserver: request timed out')],
    ['/livez', {}, '200 ok'],
    ['/livez', { leader: null, fails: 'linearizable', alarms: [corrupt] }, '200 ok'],
    ['/livez', { fails: 'all' }, '503 [-]serializable_read failed: etcdserver: request timed out'],
    ['/livez?exclude=serializable_read', { fails: 'all' }, '200 ok'],
    ['/livez?verbose', {}, '200 [+]serializable_read ok | ok'],
    ['/livez/serializable_read', {}, '200 ok'],
    ['/livez/linearizable_read', {}, undefined],
    ['/livez/serializable_read/more', {}, undefined],
    ['/readyz', {}, '200 ok'],
    [
      '/readyz',
      { fails: 'linearizable', isLearner: true },
      '503 [+]data_corruption ok | [+]serializable_read ok | ' +
        '[-]linearizable_read failed: etcdserver: request timed out | [-]non_learner failed: not supported for learner',
    ],
    ['/readyz?exclude=linearizable_read', { fails: 'linearizable' }, '200 ok'],
    ['/readyz/data_corruption', { alarms: [noSpace] }, '200 ok'],
    [
      '/readyz/data_corruption',
      { alarms: [corrupt] },
      '503 [-]data_corruption failed: alarm activated: CORRUPT',
    ],
    ['/readyz/non_learner?verbose', {}, '200 [+]non_learner ok | ok'],
    ['/readyz/non_learner', { isSilent: true }, '503 [-]non_learner failed: etcdserver: request timed out'],
    ['/readyz/toString', {}, undefined],
    ['/other', {}, undefined],
  ];
  for (const [target, condition, expected] of cases) {
    it(`${target} of ${JSON.stringify(condition)}: ${expected ?? 'no such page'}`, async () => {
      assert.equal(await ask(target, condition), expected);
    });
  }
});
