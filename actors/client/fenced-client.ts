/**
 * An ApiClient whose every write carries a leader's fencing token (ARCHITECTURE rule 10), so that what runs under a leader
 * cannot forget it. Reads pass through.
 */
import type { ApiClient, WriteOptions } from './api-client.js';

export function fencedClient(client: ApiClient, fencing: string): ApiClient {
  const fenced = <O extends WriteOptions>(options: O | undefined) =>
    ({ ...options, fencing }) as O & WriteOptions;
  return {
    get: (resource, namespace, name, options) => client.get(resource, namespace, name, options),
    list: (resource, options) => client.list(resource, options),
    watch: (resource, options, handler) => client.watch(resource, options, handler),
    create: (resource, object, options) => client.create(resource, object, fenced(options)),
    update: (resource, object, options) => client.update(resource, object, fenced(options)),
    updateStatus: (resource, object, options) => client.updateStatus(resource, object, fenced(options)),
    patch: (resource, namespace, name, type, patch, options) =>
      client.patch(resource, namespace, name, type, patch, fenced(options)),
    delete: (resource, namespace, name, options) => client.delete(resource, namespace, name, fenced(options)),
    createSubresource: (resource, namespace, name, subresource, object, options) =>
      client.createSubresource(resource, namespace, name, subresource, object, fenced(options)),
  };
}
