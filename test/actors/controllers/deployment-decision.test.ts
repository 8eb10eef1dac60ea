import { strict as assert } from 'node:assert';
import {
  decideDeployment,
  desiredAnnotation,
  maxAnnotation,
  revisionAnnotation,
} from '../../../actors/controllers/deployment-decision.js';
import { proportionalSizes } from '../../../actors/controllers/proportional-scaling.js';
import { templateHash } from '../../../actors/controllers/template-hash.js';
import type { Deployment, DeploymentSpec, ReplicaSet } from '../../../actors/objects/types/apps.js';

describe('deployment decision', () => {
  it('makes the first replica set at full size, revision 1', () => {
    const { actions, revision } = decideDeployment(deployment(3, 'a'), [], false);
    assert.deepEqual(actions, [{ type: 'create', replicas: 3, revision: 1 }]);
    assert.equal(revision, 1);
  });

  it('a new template starts with what surge allows', () => {
    const { actions } = decideDeployment(deployment(4, 'b'), [set('a', 4, 4, 1, 4)], false);
    assert.deepEqual(actions, [{ type: 'create', replicas: 1, revision: 2 }]);
  });

  it('never takes more than maxUnavailable out of service, at any point of a rollout', () => {
    const wanted = 4;
    let old = set('a', 4, 4, 1, wanted);
    let next = set('b', 0, 0, 2, wanted);
    const seen: string[] = [];
    for (let step = 0; step < 50 && (sizeOf(old) > 0 || availableOf(next) < wanted); step += 1) {
      for (const action of decideDeployment(deployment(wanted, 'b'), [old, next], false).actions) {
        if (action.type !== 'scale') continue;
        const available = Math.min(action.replicas, availableOf(action.set));
        if (action.set === old) old = set('a', action.replicas, available, 1, wanted);
        else next = set('b', action.replicas, available, 2, wanted);
      }
      assert.ok(sizeOf(old) + sizeOf(next) <= 5, `surge after ${seen.join(' ')}`);
      assert.ok(availableOf(old) + availableOf(next) >= 3, `available after ${seen.join(' ')}`);
      seen.push(`${sizeOf(old)}+${sizeOf(next)}`);
      // One new pod becomes available at a time.
      next = set('b', sizeOf(next), Math.min(sizeOf(next), availableOf(next) + 1), 2, wanted);
    }
    assert.deepEqual([sizeOf(old), sizeOf(next)], [0, 4], seen.join(' '));
  });

  it('Recreate waits until the last old pod is gone', () => {
    const recreate = deployment(2, 'b', { strategy: { type: 'Recreate' } });
    assert.equal(decideDeployment(recreate, [set('a', 2, 2, 1, 2)], true).actions.at(-1)?.type, 'scale');
    assert.deepEqual(decideDeployment(recreate, [set('a', 0, 0, 1, 2)], true).actions, []);
    assert.equal(decideDeployment(recreate, [set('a', 0, 0, 1, 2)], false).actions[0]?.type, 'create');
  });

  it('a template that comes back becomes the newest revision', () => {
    const sets = [set('a', 0, 0, 1, 1), set('b', 1, 1, 2, 1)];
    const { revision, current } = decideDeployment(deployment(1, 'a'), sets, false);
    assert.equal(revision, 3);
    assert.equal(current?.metadata?.name, 'web-a');
  });

  it('a paused deployment scales but does not roll', () => {
    const { actions } = decideDeployment(deployment(5, 'b', { paused: true }), [set('a', 3, 3, 1, 3)], false);
    assert.deepEqual(
      actions.map((action) => action.type === 'scale' && action.replicas),
      [5],
    );
  });

  it('keeps revisionHistoryLimit old replica sets', () => {
    const sets = [set('a', 0, 0, 1, 1), set('b', 0, 0, 2, 1), set('z', 1, 1, 3, 1)];
    const { actions } = decideDeployment(deployment(1, 'z', { revisionHistoryLimit: 1 }), sets, false);
    assert.deepEqual(
      actions.map((action) => action.type === 'delete' && action.set.metadata?.name),
      ['web-a'],
    );
  });

  it('shares a change of size in proportion', () => {
    const sets = [
      { set: 'old', size: 8, max: 13 },
      { set: 'new', size: 5, max: 13 },
    ];
    assert.deepEqual(proportionalSizes(sets, 18), [
      { set: 'old', size: 11 },
      { set: 'new', size: 7 },
    ]);
  });

  it('the template hash is stable under key order and changes with a collision', () => {
    const a = { metadata: { labels: { x: '1', y: '2' } }, spec: { containers: [] } };
    const b = { spec: { containers: [] }, metadata: { labels: { y: '2', x: '1' } } };
    assert.equal(templateHash(a), templateHash(b));
    assert.notEqual(templateHash(a), templateHash(a, 1));
  });
});

function deployment(replicas: number, image: string, more: Partial<DeploymentSpec> = {}): Deployment {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'd', generation: 1 },
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: template(image), ...more },
  };
}

function set(
  image: string,
  replicas: number,
  available: number,
  revision: number,
  desired: number,
): ReplicaSet {
  const annotations = {
    [revisionAnnotation]: String(revision),
    [desiredAnnotation]: String(desired),
    [maxAnnotation]: String(desired + Math.ceil(desired / 4)),
  };
  return {
    metadata: { name: `web-${image}`, annotations, creationTimestamp: `2026-01-0${revision}T00:00:00Z` },
    spec: { replicas, selector: {}, template: template(image, image) },
    status: { replicas, readyReplicas: available, availableReplicas: available },
  };
}

function template(image: string, hash?: string) {
  const labels = { app: 'web', ...(hash && { 'pod-template-hash': hash }) };
  return { metadata: { labels }, spec: { containers: [{ name: 'c', image }] } };
}

const sizeOf = (of: ReplicaSet) => of.spec?.replicas ?? 0;
const availableOf = (of: ReplicaSet) => of.status?.availableReplicas ?? 0;
