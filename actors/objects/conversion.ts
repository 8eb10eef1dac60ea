/**
 * Between versions of a kind. Most differ in name only; events (core/v1 and events.k8s.io/v1) and horizontal
 * pod autoscalers (v1 and v2) have shapes of their own. What v1 autoscalers cannot say rides in annotations,
 * as in Kubernetes, so that nothing is lost on the way there and back.
 */
import { child } from './defaults/fill.js';
import type { GroupVersion } from './registry.js';
import { apiVersionOf } from './registry.js';
import { at, listAt } from './table/cells.js';
import type { JsonObject } from './typed.js';
import { isObject } from './typed.js';

/** A converted copy; the object itself when it already is of that version. */
export function convertObject(object: JsonObject, kind: string, to: GroupVersion): JsonObject {
  const from = String(object['apiVersion'] ?? '');
  const wanted = apiVersionOf(to);
  if (from === wanted) return object;
  const convert = conversions[`${kind}: ${from} -> ${wanted}`];
  const converted = convert ? convert(object) : { ...object };
  return { ...converted, apiVersion: wanted };
}

const conversions: Readonly<Record<string, (object: JsonObject) => JsonObject>> = {
  'Event: v1 -> events.k8s.io/v1': (object) =>
    rename(object, Object.fromEntries(eventFields.map(([core, modern]) => [core, modern]))),
  'Event: events.k8s.io/v1 -> v1': (object) =>
    rename(object, Object.fromEntries(eventFields.map(([core, modern]) => [modern, core]))),
  'HorizontalPodAutoscaler: autoscaling/v2 -> autoscaling/v1': autoscalerToV1,
  'HorizontalPodAutoscaler: autoscaling/v1 -> autoscaling/v2': autoscalerToV2,
};

/** Names in core/v1, and in events.k8s.io/v1; the other fields are the same. */
const eventFields: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function rename(object: JsonObject, names: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [names[key] ?? key, value]));
}

const annotations = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
};

function isCpuUtilization(metric: unknown): boolean {
  return (
    at(metric, 'type') === 'Resource' &&
    at(metric, 'resource', 'name') === 'cpu' &&
    (at(metric, 'resource', 'target', 'averageUtilization') ??
      at(metric, 'resource', 'current', 'averageUtilization')) !== undefined
  );
}

/** v1 has one metric, the utilization of CPU. */
function autoscalerToV1(object: JsonObject): JsonObject {
  const { metrics: _metrics, behavior, ...spec } = child(object, 'spec');
  const { currentMetrics: _current, conditions, ...status } = child(object, 'status');
  const saved: Record<string, string> = {};
  const metrics = listAt(object, 'spec', 'metrics');
  const cpu = metrics.find(isCpuUtilization);
  const others = metrics.filter((metric) => metric !== cpu);
  if (cpu !== undefined) {
    spec['targetCPUUtilizationPercentage'] = at(cpu, 'resource', 'target', 'averageUtilization');
  }
  if (others.length > 0) saved[annotations.metrics] = JSON.stringify(others);
  const current = listAt(object, 'status', 'currentMetrics');
  const currentCpu = current.find(isCpuUtilization);
  if (currentCpu !== undefined) {
    status['currentCPUUtilizationPercentage'] = at(currentCpu, 'resource', 'current', 'averageUtilization');
  }
  if (current.length > 0) saved[annotations.currentMetrics] = JSON.stringify(current);
  if (conditions !== undefined) saved[annotations.conditions] = JSON.stringify(conditions);
  if (behavior !== undefined) saved[annotations.behavior] = JSON.stringify(behavior);
  return { ...object, metadata: withAnnotations(object, saved), spec, status };
}

function autoscalerToV2(object: JsonObject): JsonObject {
  const { targetCPUUtilizationPercentage: target, ...spec } = child(object, 'spec');
  const { currentCPUUtilizationPercentage: current, ...status } = child(object, 'status');
  const metadata = { ...child(object, 'metadata') };
  const kept = { ...child(metadata, 'annotations') };
  const take = (name: string): unknown => {
    const text = kept[name];
    delete kept[name];
    return typeof text === 'string' ? parseSaved(text) : undefined;
  };
  const others = take(annotations.metrics);
  const metrics: unknown[] = Array.isArray(others) ? others : [];
  if (typeof target === 'number') {
    metrics.push({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target } },
    });
  }
  if (metrics.length > 0) spec['metrics'] = metrics;
  const savedCurrent = take(annotations.currentMetrics);
  if (Array.isArray(savedCurrent)) status['currentMetrics'] = savedCurrent;
  else if (typeof current === 'number') {
    status['currentMetrics'] = [
      {
        type: 'Resource',
        resource: { name: 'cpu', current: { averageUtilization: current, averageValue: '0' } },
      },
    ];
  }
  const conditions = take(annotations.conditions);
  if (Array.isArray(conditions)) status['conditions'] = conditions;
  const behavior = take(annotations.behavior);
  if (isObject(behavior)) spec['behavior'] = behavior;
  if (Object.keys(kept).length > 0) metadata['annotations'] = kept;
  else delete metadata['annotations'];
  return { ...object, metadata, spec, status };
}

/** Annotations are the user's to break: what does not parse is as good as not there. */
function parseSaved(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function withAnnotations(object: JsonObject, added: Readonly<Record<string, string>>): JsonObject {
  const metadata = child(object, 'metadata');
  if (Object.keys(added).length === 0) return metadata;
  return { ...metadata, annotations: { ...child(metadata, 'annotations'), ...added } };
}
