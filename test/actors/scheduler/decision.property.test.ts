/**
 * Whatever the cluster looks like: no node is chosen that a filter refuses, sums never go wrong, seeds
 * decide.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import type { Pod } from '../../../actors/objects/types/core.js';
import { defaultProfile, podInfo, schedulePod } from '../../../actors/scheduler/index.js';
import { seededRandom } from '../client/manual-env.js';
import { node, pod, type PodShape, snapshotOf } from './cluster-builder.js';

const zone = 'topology.kubernetes.io/zone';
const host = 'kubernetes.io/hostname';
const app = fc.constantFrom('web', 'db', 'cache');
const effect = fc.constantFrom('NoSchedule', 'NoExecute', 'PreferNoSchedule');

const nodes = fc
  .array(
    fc.record({
      cpu: fc.integer({ min: 1, max: 4 }),
      pods: fc.integer({ min: 1, max: 6 }),
      zone: fc.option(fc.constantFrom('z1', 'z2', 'z3')),
      taint: fc.option(effect, { freq: 4 }),
      unschedulable: fc.boolean(),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((shapes) =>
    shapes.map((shape, n) =>
      node(`n${n}`, {
        labels: shape.zone ? { [zone]: shape.zone } : {},
        allocatable: { cpu: String(shape.cpu), pods: String(shape.pods) },
        spec: {
          ...(shape.taint ? { taints: [{ key: 't', effect: shape.taint }] } : {}),
          unschedulable: shape.unschedulable && n % 3 === 0,
        },
      }),
    ),
  );

const podShape = fc
  .record({
    app,
    cpu: fc.integer({ min: 0, max: 2500 }),
    hostPort: fc.option(fc.constantFrom(80, 443)),
    tolerant: fc.boolean(),
    near: fc.option(fc.tuple(app, fc.constantFrom(zone, host)), { freq: 4 }),
    far: fc.option(fc.tuple(app, fc.constantFrom(zone, host)), { freq: 4 }),
    spread: fc.option(fc.constantFrom('DoNotSchedule', 'ScheduleAnyway')),
  })
  .map((shape): PodShape => {
    const term = ([name, topologyKey]: readonly [string, string]) => ({
      requiredDuringSchedulingIgnoredDuringExecution: [
        { topologyKey, labelSelector: { matchLabels: { app: name } } },
      ],
    });
    return {
      labels: { app: shape.app },
      requests: { cpu: `${shape.cpu}m` },
      owner: shape.app,
      ...(shape.hostPort ? { hostPort: shape.hostPort } : {}),
      ...(shape.tolerant ? { tolerations: [{ operator: 'Exists' }] } : {}),
      affinity: {
        ...(shape.near ? { podAffinity: term(shape.near) } : {}),
        ...(shape.far ? { podAntiAffinity: term(shape.far) } : {}),
      },
      ...(shape.spread
        ? {
            topologySpreadConstraints: [
              {
                maxSkew: 1,
                topologyKey: zone,
                whenUnsatisfiable: shape.spread,
                labelSelector: { matchLabels: { app: shape.app } },
              },
            ],
          }
        : {}),
    };
  });

describe('scheduler decision, for any cluster', () => {
  it('never chooses a node that a filter refuses, and finds one whenever there is one', () => {
    fc.assert(
      fc.property(nodes, fc.array(podShape, { maxLength: 25 }), fc.nat(), (cluster, shapes, seed) => {
        const snapshot = snapshotOf(cluster);
        const random = seededRandom(seed);
        shapes.forEach((shape, n) => {
          const info = podInfo(pod(`p${n}`, shape));
          const filters = defaultProfile.map(({ plugin }) => plugin.prepareFilter?.(info, snapshot));
          const feasible = snapshot
            .nodes()
            .filter((one) => filters.every((filter) => filter?.(one) === undefined))
            .map(({ name }) => name);
          const decision = schedulePod(info, snapshot, random);
          if (decision.type === 'unschedulable') return assert.deepEqual(feasible, [], decision.message);
          assert.ok(feasible.includes(decision.node));
          snapshot.assume(info, decision.node);
        });
        for (const one of snapshot.nodes()) {
          for (const [name, amount] of one.requested) assert.ok(amount <= one.allocatable.get(name)!);
          assert.ok(one.podCount <= one.allocatable.get('pods')!);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('decides the same from the same seed', () => {
    fc.assert(
      fc.property(nodes, fc.array(podShape, { maxLength: 10 }), fc.nat(), (cluster, shapes, seed) => {
        const run = () => {
          const snapshot = snapshotOf(cluster);
          const random = seededRandom(seed);
          return shapes.map((shape, n) => {
            const info = podInfo(pod(`p${n}`, shape));
            const decision = schedulePod(info, snapshot, random);
            if (decision.type === 'node') snapshot.assume(info, decision.node);
            return decision.type === 'node' ? decision.node : decision.message;
          });
        };
        assert.deepEqual(run(), run());
      }),
      { numRuns: 50 },
    );
  });

  it('keeps its sums right through any coming and going', () => {
    const step = fc.tuple(fc.nat(5), fc.constantFrom('n0', 'n1', 'n2'), fc.boolean(), podShape);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const snapshot = snapshotOf(['n0', 'n1', 'n2'].map((name) => node(name)));
        const there = new Map<string, Pod>();
        for (const [n, nodeName, goes, shape] of steps) {
          const one = pod(`p${n}`, { ...shape, nodeName });
          if (goes) {
            snapshot.removePod(one.metadata!.uid!);
            there.delete(one.metadata!.uid!);
          } else {
            snapshot.setPod(one);
            there.set(one.metadata!.uid!, one);
          }
        }
        const fresh = snapshotOf(
          ['n0', 'n1', 'n2'].map((name) => node(name)),
          [...there.values()],
        );
        for (const one of snapshot.nodes()) {
          const same = fresh.node(one.name)!;
          assert.equal(one.podCount, same.podCount);
          const sorted = (amounts: ReadonlyMap<string, number>) => [...amounts].sort();
          assert.deepEqual(sorted(one.requested), sorted(same.requested));
          assert.deepEqual(sorted(one.assumedRequested), sorted(same.assumedRequested));
        }
      }),
      { numRuns: 60 },
    );
  });
});
