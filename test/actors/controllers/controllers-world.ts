/**
 * The real apiserver core over a store in memory, the controllers beside it under leader election, and hands that play
 * scheduler and kubelets; all in virtual time.
 */
import { strict as assert } from 'node:assert';
import { apiserverActor, type ApiServer } from '../../../actors/apiserver/index.js';
import type { ApiServerMessage } from '../../../actors/apiserver/messages.js';
import { type ApiClient, createApiClient, isNotFound, type Resource } from '../../../actors/client/index.js';
import { type ControllerManagerOptions, controllerManagerSpec } from '../../../actors/controllers/index.js';
import { leaderElection } from '../../../actors/leadership/index.js';
import type { KubeObject } from '../../../actors/objects/meta.js';
import type { Deployment } from '../../../actors/objects/types/apps.js';
import type { PodSpec } from '../../../actors/objects/types/core.js';
import { actorRef, type RunningActorSystem } from '../../../actors/runtime/index.js';
import { admin, serverWorld } from '../apiserver/server-world.js';
import { simWorld, type World } from '../runtime/world.js';
import { PlayedKubelets } from './played-kubelets.js';

export interface ControllersWorld {
  readonly world: World;
  readonly system: RunningActorSystem;
  readonly server: ApiServer;
  /** As the administrator. */
  readonly client: ApiClient;
  readonly kubelets: PlayedKubelets;
  run<T>(promise: Promise<T>): Promise<T>;
  /** Asks again and again until `holds`; returns what it then saw. Bounded virtual time. */
  eventually<T>(ask: () => Promise<T>, holds: (seen: T) => boolean, maxMs?: number): Promise<T>;
  gone(resource: Resource, namespace: string | undefined, name: string): Promise<void>;
  /** Lets virtual time pass. */
  pass(ms: number): Promise<void>;
}

export async function controllersWorld(
  options: Partial<ControllerManagerOptions> & { readonly nodes?: readonly string[] } = {},
): Promise<ControllersWorld> {
  const { nodes = ['node-1', 'node-2'], ...managerOptions } = options;
  const world = simWorld();
  const { system, server } = await serverWorld({}, world);
  system.spawn(
    apiserverActor({
      handler: server,
      identify: (_node, userAgent) =>
        userAgent === 'kube-controller-manager'
          ? { username: 'system:kube-controller-manager', groups: ['system:authenticated'] }
          : admin,
    }),
  );
  const clientAs = (userAgent: string) =>
    createApiClient({
      system,
      apiservers: [actorRef<ApiServerMessage>(system.node, '/apiserver')],
      userAgent,
    });
  const client = clientAs('test');
  const kubelets = new PlayedKubelets(system, clientAs('kubelet'));
  await world.settled(kubelets.start(nodes));
  const manager = clientAs('kube-controller-manager');
  system.spawn({
    ...leaderElection({
      lockName: 'kube-controller-manager',
      identity: 'master-1_test',
      client: manager,
      onLead: (fencing) => controllerManagerSpec({ ...managerOptions, system, client: manager, fencing }),
    }),
    id: 'kube-controller-manager',
  });
  const pass = (ms: number) =>
    world.settled(new Promise<void>((resolve) => void system.env.clock.setTimer(ms, resolve)));
  const eventually: ControllersWorld['eventually'] = async (ask, holds, maxMs = 30_000) => {
    const { clock } = system.env;
    const endMs = clock.monotonicMs() + maxMs;
    for (;;) {
      const seen = await world.settled(ask());
      if (holds(seen)) return seen;
      assert.ok(
        clock.monotonicMs() < endMs,
        `not within ${maxMs} ms; the last seen: ${JSON.stringify(seen, undefined, 1)}`,
      );
      await pass(Math.max(20, maxMs / 150));
    }
  };
  return {
    world,
    system,
    server,
    client,
    kubelets,
    pass,
    eventually,
    run: (promise) => world.settled(promise),
    async gone(resource, namespace, name) {
      const find = () =>
        client.get(resource, namespace, name).catch((error: unknown) => {
          if (isNotFound(error)) return undefined;
          throw error;
        });
      await eventually(find, (object) => object === undefined);
    },
  };
}

export function deployment(name: string, replicas: number, image = 'web:1', more: object = {}): Deployment {
  return {
    metadata: { name, namespace: 'default' },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: podSpec(image) },
      ...more,
    },
  };
}

export function podSpec(image = 'web:1'): PodSpec {
  return { containers: [{ name: 'web', image, ports: [{ name: 'http', containerPort: 8080 }] }] };
}

export function namesOf(objects: readonly KubeObject[]): string[] {
  return objects.map(({ metadata }) => metadata?.name ?? '').sort();
}
