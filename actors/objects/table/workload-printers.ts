/** Columns of pods and of what makes pods. */
import {
  ageOf,
  at,
  conditionOf,
  containersOf,
  listAt,
  mapAt,
  none,
  numberAt,
  printDuration,
  printMap,
  printSelector,
  textAt,
} from './cells.js';
import type { Cell } from './cells.js';
import { ageCell, columnsOf, nameOf, printer } from './columns.js';
import type { Printer } from './columns.js';
import { summarisePod } from './pod-status.js';
import { parseTime } from '../time.js';

const templateColumns = ['Containers*', 'Images*', 'Selector*'] as const;

function templateCells(object: unknown, selector: string): Cell[] {
  return [...containersOf(at(object, 'spec', 'template', 'spec')), selector];
}

const pod = printer(
  columnsOf(
    'Name',
    'Ready',
    'Status',
    'Restarts',
    'Age',
    'IP*',
    'Node*',
    'Nominated Node*',
    'Readiness Gates*',
  ),
  (object, nowMs) => {
    const summary = summarisePod(object, nowMs);
    const gates = listAt(object, 'spec', 'readinessGates');
    const passed = gates.filter(
      (gate) => textAt(conditionOf(object, textAt(gate, 'conditionType')), 'status') === 'True',
    );
    return [
      nameOf(object),
      `${summary.ready}/${summary.containers}`,
      summary.status,
      summary.restarts,
      ageCell(object, nowMs),
      textAt(listAt(object, 'status', 'podIPs')[0], 'ip') || textAt(object, 'status', 'podIP') || none,
      textAt(object, 'spec', 'nodeName') || none,
      textAt(object, 'status', 'nominatedNodeName') || none,
      gates.length === 0 ? none : `${passed.length}/${gates.length}`,
    ];
  },
);

const deployment = printer(
  columnsOf('Name', 'Ready', 'Up-to-date:integer', 'Available:integer', 'Age', ...templateColumns),
  (object, nowMs) => [
    nameOf(object),
    `${numberAt(object, 'status', 'readyReplicas')}/${numberAt(object, 'spec', 'replicas')}`,
    numberAt(object, 'status', 'updatedReplicas'),
    numberAt(object, 'status', 'availableReplicas'),
    ageCell(object, nowMs),
    ...templateCells(object, printSelector(at(object, 'spec', 'selector'))),
  ],
);

function replicas(selectorOf: (object: unknown) => string): Printer {
  return printer(
    columnsOf('Name', 'Desired:integer', 'Current:integer', 'Ready:integer', 'Age', ...templateColumns),
    (object, nowMs) => [
      nameOf(object),
      numberAt(object, 'spec', 'replicas'),
      numberAt(object, 'status', 'replicas'),
      numberAt(object, 'status', 'readyReplicas'),
      ageCell(object, nowMs),
      ...templateCells(object, selectorOf(object)),
    ],
  );
}

const daemonSet = printer(
  columnsOf(
    'Name',
    'Desired:integer',
    'Current:integer',
    'Ready:integer',
    'Up-to-date:integer',
    'Available:integer',
    'Node Selector',
    'Age',
    ...templateColumns,
  ),
  (object, nowMs) => [
    nameOf(object),
    numberAt(object, 'status', 'desiredNumberScheduled'),
    numberAt(object, 'status', 'currentNumberScheduled'),
    numberAt(object, 'status', 'numberReady'),
    numberAt(object, 'status', 'updatedNumberScheduled'),
    numberAt(object, 'status', 'numberAvailable'),
    printMap(mapAt(object, 'spec', 'template', 'spec', 'nodeSelector')),
    ageCell(object, nowMs),
    ...templateCells(object, printSelector(at(object, 'spec', 'selector'))),
  ],
);

const statefulSet = printer(columnsOf('Name', 'Ready', 'Age', 'Containers*', 'Images*'), (object, nowMs) => [
  nameOf(object),
  `${numberAt(object, 'status', 'readyReplicas')}/${numberAt(object, 'spec', 'replicas')}`,
  ageCell(object, nowMs),
  ...containersOf(at(object, 'spec', 'template', 'spec')),
]);

function jobStatus(object: unknown): string {
  const isTrue = (type: string) => textAt(conditionOf(object, type), 'status') === 'True';
  if (isTrue('Complete')) return 'Complete';
  if (isTrue('Failed')) return 'Failed';
  if (at(object, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  if (isTrue('Suspended')) return 'Suspended';
  if (isTrue('FailureTarget')) return 'FailureTarget';
  if (isTrue('SuccessCriteriaMet')) return 'SuccessCriteriaMet';
  return 'Running';
}

function jobDuration(object: unknown, nowMs: number): string {
  const start = textAt(object, 'status', 'startTime');
  if (start === '') return '';
  const completion = textAt(object, 'status', 'completionTime');
  return printDuration((completion === '' ? nowMs : parseTime(completion)) - parseTime(start));
}

function jobCompletions(object: unknown): string {
  const succeeded = numberAt(object, 'status', 'succeeded');
  const completions = at(object, 'spec', 'completions');
  if (typeof completions === 'number') return `${succeeded}/${completions}`;
  const parallelism = numberAt(object, 'spec', 'parallelism');
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

const job = printer(
  columnsOf('Name', 'Status', 'Completions', 'Duration', 'Age', ...templateColumns),
  (object, nowMs) => [
    nameOf(object),
    jobStatus(object),
    jobCompletions(object),
    jobDuration(object, nowMs),
    ageCell(object, nowMs),
    ...templateCells(object, printSelector(at(object, 'spec', 'selector'))),
  ],
);

const cronJob = printer(
  columnsOf(
    'Name',
    'Schedule',
    'Timezone',
    'Suspend:boolean',
    'Active:integer',
    'Last Schedule',
    'Age',
    ...templateColumns,
  ),
  (object, nowMs) => {
    const last = at(object, 'status', 'lastScheduleTime');
    const template = at(object, 'spec', 'jobTemplate', 'spec');
    return [
      nameOf(object),
      textAt(object, 'spec', 'schedule'),
      textAt(object, 'spec', 'timeZone') || none,
      at(object, 'spec', 'suspend') === true ? 'True' : 'False',
      listAt(object, 'status', 'active').length,
      last === undefined ? none : ageOf(last, nowMs),
      ageCell(object, nowMs),
      ...containersOf(at(template, 'template', 'spec')),
      printSelector(at(template, 'selector')),
    ];
  },
);

const controllerRevision = printer(columnsOf('Name', 'Controller', 'Revision', 'Age'), (object, nowMs) => {
  const owner = listAt(object, 'metadata', 'ownerReferences').find((each) => at(each, 'controller') === true);
  const group = textAt(owner, 'apiVersion').split('/');
  const kind = textAt(owner, 'kind').toLowerCase();
  const qualified = group.length === 2 ? `${kind}.${group[0]!}` : kind;
  return [
    nameOf(object),
    owner === undefined ? none : `${qualified}/${textAt(owner, 'name')}`,
    textAt(object, 'revision') || '0',
    ageCell(object, nowMs),
  ];
});

const podTemplate = printer(columnsOf('Name', 'Containers', 'Images', 'Pod Labels'), (object) => [
  nameOf(object),
  ...containersOf(at(object, 'template', 'spec')),
  printMap(mapAt(object, 'template', 'metadata', 'labels')),
]);

export const workloadPrinters: Readonly<Record<string, Printer>> = {
  '/Pod': pod,
  '/PodTemplate': podTemplate,
  '/ReplicationController': replicas((object) => printMap(mapAt(object, 'spec', 'selector'))),
  'apps/ControllerRevision': controllerRevision,
  'apps/DaemonSet': daemonSet,
  'apps/Deployment': deployment,
  'apps/ReplicaSet': replicas((object) => printSelector(at(object, 'spec', 'selector'))),
  'apps/StatefulSet': statefulSet,
  'batch/CronJob': cronJob,
  'batch/Job': job,
};
