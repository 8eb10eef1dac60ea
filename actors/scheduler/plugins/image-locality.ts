/** Prefers nodes that have the pod's images, the more so the larger they are and the more nodes have them. */
import { maxNodeScore, type Plugin } from '../framework.js';
import type { NodeInfo } from '../node-info.js';
import type { Snapshot } from '../snapshot.js';

const mebibyte = 1024 * 1024;
const minBytes = 23 * mebibyte;
const maxBytesPerContainer = 1000 * mebibyte;

export const imageLocality: Plugin = {
  name: 'ImageLocality',
  prepareScore: ({ pod }, snapshot) => {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const images = containers.flatMap(({ image }) => (image ? [withTag(image)] : []));
    const shares = images.map((image) => share(image, snapshot));
    if (shares.every((part) => part === 0)) return undefined;
    const maxBytes = maxBytesPerContainer * containers.length;
    return {
      score: (node) => {
        const bytes = images.reduce((sum, image, n) => sum + Math.floor(sizeOn(node, image) * shares[n]!), 0);
        const within = Math.min(Math.max(bytes, minBytes), maxBytes);
        return Math.floor((maxNodeScore * (within - minBytes)) / (maxBytes - minBytes));
      },
    };
  },
};

/** Part of the nodes that have it: an image that few have would draw all pods to them. */
function share(image: string, snapshot: Snapshot): number {
  const total = snapshot.nodes().length;
  return total === 0 ? 0 : snapshot.nodesWithImage(image) / total;
}

function sizeOn(node: NodeInfo, image: string): number {
  return (node.node?.status?.images ?? []).find(({ names }) => names?.includes(image))?.sizeBytes ?? 0;
}

function withTag(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  return last.includes(':') || last.includes('@') ? image : `${image}:latest`;
}
