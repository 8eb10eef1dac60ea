/** Cordoned nodes take no pods, except those that tolerate exactly that. */
import { nodeOf, type Plugin, refused } from '../framework.js';
import { isTolerated } from '../tolerations.js';

const refusal = refused('node(s) were unschedulable', true);
const cordon = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

export const nodeUnschedulable: Plugin = {
  name: 'NodeUnschedulable',
  prepareFilter: ({ pod }) => {
    if (isTolerated(cordon, pod.spec?.tolerations)) return undefined;
    return (node) => (node.node?.spec?.unschedulable ? refusal : undefined);
  },
  helps: (event) => {
    const node = nodeOf(event, 'unschedulable', 'taints');
    return node !== undefined && !node.node?.spec?.unschedulable;
  },
};
