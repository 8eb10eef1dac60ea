/** Node selectors and node affinity terms against a node (component-helpers `nodeaffinity`). */
import type {
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  PodSpec,
} from '../objects/types/core.js';
import type { NodeInfo } from './node-info.js';

/** What of a node can be selected. */
export type NamedLabels = Pick<NodeInfo, 'name' | 'labels'>;

/** nodeSelector and the required node affinity together. */
export function requiredNodeMatches(spec: PodSpec | undefined, node: NamedLabels): boolean {
  for (const [key, value] of Object.entries(spec?.nodeSelector ?? {})) {
    if (node.labels[key] !== value) return false;
  }
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || selectorMatches(required, node);
}

/** One of the terms must match; none at all matches nothing. */
function selectorMatches(selector: NodeSelector, node: NamedLabels): boolean {
  return selector.nodeSelectorTerms.some((term) => termMatches(term, node));
}

/** Everything in the term must match; an empty term matches nothing. */
export function termMatches(term: NodeSelectorTerm, node: NamedLabels): boolean {
  const { matchExpressions = [], matchFields = [] } = term;
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((requirement) => meets(requirement, node.labels[requirement.key])) &&
    matchFields.every((requirement) => requirement.key === 'metadata.name' && meets(requirement, node.name))
  );
}

function meets({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const [left, right] = [integer(value), integer(values[0])];
      if (left === undefined || right === undefined) return false;
      return operator === 'Gt' ? left > right : left < right;
    }
    default:
      return false;
  }
}

function integer(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[+-]?\d{1,19}$/.test(text) ? BigInt(text) : undefined;
}
