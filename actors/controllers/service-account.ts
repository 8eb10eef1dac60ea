/** The service account `default` in every namespace, which pods run as unless they name another. */
import {
  controllerActor,
  type Informer,
  isAlreadyExists,
  keysOf,
  namespaces,
  serviceAccounts,
} from '../client/index.js';
import type { Namespace, ServiceAccount } from '../objects/types/core.js';
import type { ChildSpec } from '../runtime/index.js';
import type { ControllerContext } from './context.js';
import { controllerLimits } from './limits.js';
import { isTerminatingNamespace } from './terminating-namespace.js';

const accountName = 'default';

export function serviceAccountController(context: ControllerContext): ChildSpec<never> {
  const spaces: Informer<Namespace> = context.informers.informer(namespaces);
  const accounts: Informer<ServiceAccount> = context.informers.informer(serviceAccounts);
  return controllerActor({
    name: 'serviceaccount',
    workers: controllerLimits.workers,
    sources: [
      keysOf(spaces, (namespace) => [namespace.metadata?.name ?? '']),
      keysOf(accounts, ({ metadata }) => (metadata?.name === accountName ? [metadata.namespace ?? ''] : [])),
    ],
    async reconcile(name) {
      const namespace = spaces.get(name);
      if (!namespace || namespace.metadata?.deletionTimestamp) return;
      if (accounts.get(`${name}/${accountName}`)) return;
      try {
        await context.client.create(serviceAccounts, { metadata: { name: accountName, namespace: name } });
      } catch (error) {
        if (!isAlreadyExists(error) && !isTerminatingNamespace(error)) throw error;
      }
    },
  });
}
