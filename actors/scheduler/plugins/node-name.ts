/** A pod that names its node fits only there. */
import { nodeOf, type Plugin, refused } from '../framework.js';

const refusal = refused("node(s) didn't match the requested node name", true);

export const nodeName: Plugin = {
  name: 'NodeName',
  prepareFilter: ({ pod }) => {
    const wanted = pod.spec?.nodeName;
    return wanted ? (node) => (node.name === wanted ? undefined : refusal) : undefined;
  },
  helps: (event, { pod }) => nodeOf(event)?.name === pod.spec?.nodeName,
};
