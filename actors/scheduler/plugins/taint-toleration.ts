/**
 * Keeps pods off nodes whose taints they do not tolerate; prefers nodes with few soft taints against them.
 */
import { nodeOf, type Plugin, refused, scaledToMax } from '../framework.js';
import { isTolerated, untoleratedTaint } from '../tolerations.js';

const refusal = refused('node(s) had untolerated taint(s)', true);

export const taintToleration: Plugin = {
  name: 'TaintToleration',
  prepareFilter:
    ({ pod }) =>
    (node) =>
      untoleratedTaint(node.taints, pod.spec?.tolerations) ? refusal : undefined,
  prepareScore: ({ pod }) => {
    const soft = (pod.spec?.tolerations ?? []).filter(
      ({ effect }) => !effect || effect === 'PreferNoSchedule',
    );
    return {
      score: (node) =>
        node.taints.filter((taint) => taint.effect === 'PreferNoSchedule' && !isTolerated(taint, soft))
          .length,
      normalize: (scores) => scaledToMax(scores, true),
    };
  },
  helps: (event, { pod }) => {
    const node = nodeOf(event, 'taints');
    return node !== undefined && !untoleratedTaint(node.taints, pod.spec?.tolerations);
  },
};
