/**
 * The rules of each kind, by table: for a new object, and for a change of one. They run on typed, defaulted
 * objects whose metadata the server has completed. Kinds without an entry have the rules of metadata only.
 */
import { isDeepStrictEqual } from 'node:util';
import { at, textAt } from '../table/cells.js';
import * as core from './core-validation.js';
import { validateCoreEvent, validateEventUpdate, validateNewEvent } from './event-validation.js';
import type { FieldError } from './field-errors.js';
import { FieldErrors } from './field-errors.js';
import type { ValidatedKind } from './metadata-validation.js';
import { validateMetadata, validateMetadataUpdate } from './metadata-validation.js';
import { validatePod, validatePodUpdate, validateTemplate } from './pod-validation.js';
import { validateIngress } from './ingress-validation.js';
import * as workloads from './workload-validation.js';

type Rule = (object: unknown, errors: FieldErrors) => void;
type UpdateRule = (object: unknown, old: unknown, errors: FieldErrors) => void;

const rbac = 'rbac.authorization.k8s.io';

const rules: Readonly<Record<string, Rule>> = {
  '/ConfigMap': core.validateConfigMap,
  '/Endpoints': core.validateEndpoints,
  '/Event': validateCoreEvent,
  '/Namespace': core.validateNamespace,
  '/Node': core.validateNode,
  '/Pod': validatePod,
  '/PodTemplate': (object, errors) => validateTemplate(at(object, 'template'), 'template', errors),
  '/ReplicationController': workloads.validateReplicationController,
  '/Secret': core.validateSecret,
  '/Service': core.validateService,
  'apps/DaemonSet': workloads.validateDaemonSet,
  'apps/Deployment': workloads.validateDeployment,
  'apps/ReplicaSet': workloads.validateReplicaSet,
  'apps/StatefulSet': workloads.validateStatefulSet,
  'batch/CronJob': workloads.validateCronJob,
  'batch/Job': workloads.validateJob,
  'coordination.k8s.io/Lease': core.validateLease,
  'discovery.k8s.io/EndpointSlice': core.validateEndpointSlice,
  'events.k8s.io/Event': validateNewEvent,
  'networking.k8s.io/Ingress': validateIngress,
  'policy/PodDisruptionBudget': core.validatePodDisruptionBudget,
  [`${rbac}/ClusterRole`]: core.validateRole(false),
  [`${rbac}/ClusterRoleBinding`]: core.validateBinding(false),
  [`${rbac}/Role`]: core.validateRole(true),
  [`${rbac}/RoleBinding`]: core.validateBinding(true),
};

const selectorIsFixed: UpdateRule = (object, old, errors) =>
  workloads.validateImmutable(object, old, ['selector'], errors);

const updateRules: Readonly<Record<string, UpdateRule>> = {
  '/ConfigMap': (object, old, errors) => core.validateSealed(object, old, ['data', 'binaryData'], errors),
  '/Node': core.validateNodeUpdate,
  '/PersistentVolumeClaim': core.validateClaimUpdate,
  '/Pod': validatePodUpdate,
  '/Secret': (object, old, errors) => {
    if (textAt(object, 'type') !== textAt(old, 'type')) errors.immutable('type', textAt(object, 'type'));
    core.validateSealed(object, old, ['data'], errors);
  },
  '/Service': core.validateServiceUpdate,
  'apps/DaemonSet': selectorIsFixed,
  'apps/Deployment': selectorIsFixed,
  'apps/ReplicaSet': selectorIsFixed,
  'apps/StatefulSet': workloads.validateStatefulSetUpdate,
  'batch/Job': workloads.validateJobUpdate,
  'events.k8s.io/Event': validateEventUpdate,
  'discovery.k8s.io/EndpointSlice': (object, old, errors) => {
    if (textAt(object, 'addressType') !== textAt(old, 'addressType')) {
      errors.immutable('addressType', textAt(object, 'addressType'));
    }
  },
  'scheduling.k8s.io/PriorityClass': (object, old, errors) => {
    if (!isDeepStrictEqual(at(object, 'value'), at(old, 'value'))) {
      errors.forbidden('value', 'may not be changed in an update.');
    }
  },
  [`${rbac}/ClusterRoleBinding`]: core.validateBindingUpdate,
  [`${rbac}/RoleBinding`]: core.validateBindingUpdate,
};

/** Their rules are for new objects; stored ones came through another version, or from before the rule. */
const onlyNew = new Set(['events.k8s.io/Event']);

/** Faults of a new object; empty when it may be stored. */
export function validateCreate(object: unknown, kind: ValidatedKind): readonly FieldError[] {
  const errors = new FieldErrors();
  validateMetadata(object, kind, errors);
  rules[`${kind.group}/${kind.kind}`]?.(object, errors);
  return errors.list;
}

/** Faults of a changed object. */
export function validateUpdate(object: unknown, old: unknown, kind: ValidatedKind): readonly FieldError[] {
  const errors = new FieldErrors();
  validateMetadata(object, kind, errors);
  validateMetadataUpdate(object, old, errors);
  const key = `${kind.group}/${kind.kind}`;
  if (!onlyNew.has(key)) rules[key]?.(object, errors);
  updateRules[key]?.(object, old, errors);
  return errors.list;
}

/** Faults of a change through a subresource such as status: metadata only, the spec being the stored one. */
export function validateSubresourceUpdate(
  object: unknown,
  old: unknown,
  kind: ValidatedKind,
): readonly FieldError[] {
  const errors = new FieldErrors();
  validateMetadata(object, kind, errors);
  validateMetadataUpdate(object, old, errors);
  return errors.list;
}
