/**
 * Writes the Node and its Lease. Each call makes one attempt and resolves with what the API has now, or
 * with why it could not; the kubelet calls again at its own pace.
 */
import { ApiError, isAlreadyExists, isConflict, isNotFound, leases, nodes } from '../client/index.js';
import type { Lease } from '../objects/types/coordination.js';
import type { Node } from '../objects/types/core.js';
import type { KubeletParts } from './kubelet-parts.js';
import { leaseNamespace, nodeLease, nodeObject, type NodeOptions, nodeStatus } from './node-object.js';

export type NodeOutcome =
  | { readonly type: 'ok'; readonly node: Node; readonly wrote: boolean }
  | { readonly type: 'failed'; readonly why: string };

export type LeaseOutcome =
  | { readonly type: 'ok'; readonly lease: Lease }
  /** Somebody else wrote it, or it is gone: read it again. */
  | { readonly type: 'stale'; readonly why: string }
  | { readonly type: 'failed'; readonly why: string };

/** Makes the node known if it is not, with the labels and taints that it registers with. */
export async function register(parts: KubeletParts, options: NodeOptions): Promise<NodeOutcome> {
  return attempt(async () => {
    const wanted = nodeObject(options);
    try {
      return { type: 'ok', node: await parts.client.create(nodes, wanted), wrote: true };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    // An earlier life registered it: labels are brought up to date, taints are the administrator's now.
    const { labels, annotations } = wanted.metadata!;
    const patch = { metadata: { labels, annotations }, spec: { podCIDR: options.podCidr } };
    const node = await parts.client.patch(nodes, undefined, options.nodeName, 'merge', patch);
    return { type: 'ok', node, wrote: false };
  });
}

export async function readNode(parts: KubeletParts): Promise<NodeOutcome> {
  return attempt(async () => ({
    type: 'ok',
    node: await parts.client.get(nodes, undefined, parts.nodeName),
    wrote: false,
  }));
}

export async function writeNodeStatus(
  parts: KubeletParts,
  options: NodeOptions,
  known: Node | undefined,
  nowMs: number,
): Promise<NodeOutcome> {
  return attempt(async () => {
    const patch = { status: nodeStatus(options, known, nowMs) };
    const node = await parts.client.patch(nodes, undefined, parts.nodeName, 'strategic', patch, {
      subresource: 'status',
    });
    return { type: 'ok', node, wrote: true };
  });
}

/** `known`: what the last call resolved with; absent: it is read first. */
export async function renewLease(
  parts: KubeletParts,
  known: Lease | undefined,
  nodeUid: string | undefined,
  nowMs: number,
): Promise<LeaseOutcome> {
  const { client, nodeName, limits } = parts;
  const make = (base: Lease | undefined) =>
    nodeLease(nodeName, base, nodeUid, limits.leaseDurationSeconds, nowMs);
  try {
    if (known !== undefined) return { type: 'ok', lease: await client.update(leases, make(known)) };
    try {
      return { type: 'ok', lease: await client.create(leases, make(undefined)) };
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const there = await client.get(leases, leaseNamespace, nodeName);
      return { type: 'ok', lease: await client.update(leases, make(there)) };
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isConflict(error) || isNotFound(error)) return { type: 'stale', why: error.message };
    return { type: 'failed', why: error.message };
  }
}

async function attempt(work: () => Promise<NodeOutcome>): Promise<NodeOutcome> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { type: 'failed', why: error.message };
  }
}
