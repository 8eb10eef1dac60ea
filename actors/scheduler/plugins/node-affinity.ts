/** nodeSelector and node affinity: required terms filter, preferred ones add their weight. */
import { nodeOf, type Plugin, refused, scaledToMax } from '../framework.js';
import { requiredNodeMatches, termMatches } from '../node-selection.js';

const refusal = refused("node(s) didn't match Pod's node affinity/selector", true);

export const nodeAffinity: Plugin = {
  name: 'NodeAffinity',
  prepareFilter: ({ pod: { spec } }) => {
    const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (!spec?.nodeSelector && !required) return undefined;
    return (node) => (requiredNodeMatches(spec, node) ? undefined : refusal);
  },
  prepareScore: ({ pod: { spec } }) => {
    const preferred = spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return {
      score: (node) =>
        preferred.reduce(
          (sum, { preference, weight }) => sum + (termMatches(preference, node) ? weight : 0),
          0,
        ),
      normalize: (scores) => scaledToMax(scores),
    };
  },
  helps: (event, { pod }) => {
    const node = nodeOf(event, 'labels');
    return node !== undefined && requiredNodeMatches(pod.spec, node);
  },
};
