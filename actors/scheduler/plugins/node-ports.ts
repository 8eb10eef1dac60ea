/** Two pods cannot listen on the same host port of a node. */
import { nodeOf, type Plugin, refused } from '../framework.js';

const refusal = refused("node(s) didn't have free ports for the requested pod ports", false);

export const nodePorts: Plugin = {
  name: 'NodePorts',
  prepareFilter: ({ hostPorts }) =>
    hostPorts.length === 0 ? undefined : (node) => (node.portsTaken(hostPorts) ? refusal : undefined),
  helps: (event, { hostPorts }) =>
    event.type === 'PodGone'
      ? event.pod.hostPorts.some(({ port }) => hostPorts.some((wanted) => wanted.port === port))
      : nodeOf(event)?.portsTaken(hostPorts) === false,
};
