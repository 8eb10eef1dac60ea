import { strict as assert } from 'node:assert';
import type { Pod } from '../../../actors/objects/types/core.js';
import type { ContainerRecord } from '../../../actors/kubelet/index.js';
import { kubeletLimits } from '../../../actors/kubelet/limits.js';
import { decide, outcome } from '../../../actors/kubelet/pod-decision.js';
import {
  type ContainerMemory,
  freshContainer,
  type PodMemory,
  type PodView,
} from '../../../actors/kubelet/pod-view.js';

const nowMs = 1_000_000;

function pod(spec: Partial<NonNullable<Pod['spec']>> = {}, metadata: Pod['metadata'] = {}): Pod {
  return {
    metadata: { name: 'p', namespace: 'default', uid: 'u', ...metadata },
    spec: { containers: [{ name: 'main', image: 'a' }], ...spec },
  };
}

function record(
  name: string,
  state: ContainerRecord['state'],
  parts: Partial<ContainerRecord> = {},
): ContainerRecord {
  const base = {
    podUid: 'u',
    podNamespace: 'default',
    podName: 'p',
    podIP: '127.64.0.1',
    image: 'a',
    imageId: 'a',
  };
  const times = {
    createdAtMs: 0,
    startedAtMs: 0,
    ...(state === 'exited' ? { finishedAtMs: nowMs - 1, exitCode: 0 } : {}),
  };
  return { ...base, ...times, id: `${name}-${parts.attempt ?? 0}`, name, attempt: 0, state, ...parts };
}

function view(
  of: Pod,
  records: ContainerRecord[] = [],
  memory: Partial<PodMemory> = {},
  containers: Record<string, Partial<ContainerMemory>> = {},
): PodView {
  const full = Object.fromEntries(
    Object.entries(containers).map(([name, own]) => [name, { ...freshContainer, ...own }]),
  );
  return {
    pod: of,
    records,
    nowMs,
    limits: kubeletLimits,
    memory: {
      podIP: '127.64.0.1',
      hostIP: '127.0.0.1',
      acceptedAtMs: nowMs - 60_000,
      sandbox: 'ready',
      initialised: false,
      removed: false,
      cleanup: 'none',
      containers: full,
      ...memory,
    },
  };
}

/** Actions in short: `Start main#0`, `Stop main 30000`, `CleanUp`. */
function acts(of: PodView): string[] {
  return decide(of).actions.map((action) => {
    switch (action.type) {
      case 'StartContainer':
        return `Start ${action.name}#${action.attempt}`;
      case 'StopContainer':
        return `Stop ${action.name} ${action.graceMs}`;
      case 'RemoveContainer':
        return `Remove ${action.id}`;
      case 'FailPod':
        return `Fail ${action.reason}`;
      default:
        return action.type;
    }
  });
}

const running = (name: string, parts: Partial<ContainerRecord> = {}) => record(name, 'running', parts);
const exited = (name: string, exitCode: number, parts: Partial<ContainerRecord> = {}) =>
  record(name, 'exited', { exitCode, ...parts });
const up = (name: string): Record<string, Partial<ContainerMemory>> => ({
  [name]: { id: `${name}-0`, startupDone: true, readiness: true, postStart: 'done' },
});
const deleted = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30 };
const withInit = (restartPolicy = 'Always') =>
  pod({
    restartPolicy,
    initContainers: [{ name: 'one' }, { name: 'side', restartPolicy: 'Always' }, { name: 'two' }],
  });

describe('pod decision', () => {
  const table: readonly [sentence: string, of: PodView, expected: string[]][] = [
    ['prepares the sandbox first', view(pod(), [], { sandbox: 'none' }), ['PrepareSandbox']],
    ['waits while the sandbox is being prepared', view(pod(), [], { sandbox: 'preparing' }), []],
    ['starts the main container', view(pod()), ['Start main#0']],
    [
      'starts all main containers at once',
      view(pod({ containers: [{ name: 'a' }, { name: 'b' }] })),
      ['Start a#0', 'Start b#0'],
    ],
    ['leaves a start alone that is under way', view(pod(), [], {}, { main: { operation: 'starting' } }), []],
    ['leaves a running container alone', view(pod(), [running('main')], {}, up('main')), []],
    ['restarts an ended container under Always', view(pod(), [exited('main', 0)]), ['Start main#1']],
    [
      'restarts a failed one under OnFailure',
      view(pod({ restartPolicy: 'OnFailure' }), [exited('main', 1)]),
      ['Start main#1'],
    ],
    [
      'leaves a successful one under OnFailure',
      view(pod({ restartPolicy: 'OnFailure' }), [exited('main', 0)]),
      [],
    ],
    ['never restarts under Never', view(pod({ restartPolicy: 'Never' }), [exited('main', 1)]), []],
    [
      'lets a container have a policy of its own',
      view(pod({ restartPolicy: 'Never', containers: [{ name: 'main', restartPolicy: 'OnFailure' }] }), [
        exited('main', 1),
      ]),
      ['Start main#1'],
    ],
    [
      'restarts by exit code where a rule says so',
      view(
        pod({
          restartPolicy: 'Never',
          containers: [
            {
              name: 'main',
              restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
            },
          ],
        }),
        [exited('main', 42)],
      ),
      ['Start main#1'],
    ],
    [
      'waits in CrashLoopBackOff',
      view(
        pod(),
        [exited('main', 1)],
        {},
        { main: { crash: { delayMs: 10_000, updatedAtMs: nowMs - 5000 } } },
      ),
      [],
    ],
    [
      'forgets the backoff of a container that ran for long',
      view(
        pod(),
        [exited('main', 1)],
        {},
        { main: { crash: { delayMs: 300_000, updatedAtMs: nowMs - 700_000 } } },
      ),
      ['Start main#1'],
    ],
    [
      'continues counting where an earlier life stopped',
      view(pod(), [], {}, { main: { firstAttempt: 4 } }),
      ['Start main#4'],
    ],
    [
      'keeps one ended container beside the newest',
      view(pod(), [
        exited('main', 1, { attempt: 0 }),
        exited('main', 1, { attempt: 1 }),
        running('main', { attempt: 2 }),
      ]),
      ['Remove main-0'],
    ],
    ['starts the first init container', view(withInit()), ['Start one#0']],
    ['waits for it', view(withInit(), [running('one')]), []],
    ['retries it when it fails', view(withInit(), [exited('one', 1)]), ['Start one#1']],
    ['starts the sidecar next', view(withInit(), [exited('one', 0)]), ['Start side#0']],
    ['waits until the sidecar has started', view(withInit(), [exited('one', 0), running('side')]), []],
    [
      'starts what follows beside the sidecar',
      view(withInit(), [exited('one', 0), running('side')], {}, up('side')),
      ['Start two#0'],
    ],
    [
      'starts main containers when all of that is done',
      view(withInit(), [exited('one', 0), running('side'), exited('two', 0)], {}, up('side')),
      ['Start main#0'],
    ],
    [
      'restarts a sidecar at any time',
      view(
        withInit(),
        [exited('one', 0), exited('side', 0), exited('two', 0), running('main')],
        {},
        up('main'),
      ),
      ['Start side#1'],
    ],
    [
      'does not run init containers again after main ones ran',
      view(withInit(), [exited('main', 1)], { initialised: true }, up('side')),
      ['Start side#0', 'Start main#1'],
    ],
    ['gives up when an init container fails under Never', view(withInit('Never'), [exited('one', 1)]), []],
    [
      'stops a condemned container',
      view(
        pod(),
        [running('main')],
        {},
        { main: { ...up('main')['main'], kill: { message: 'm', graceSeconds: 5 } } },
      ),
      ['Stop main 5000'],
    ],
    [
      'stops a deleted pod within its grace period',
      view(pod({}, deleted), [running('main')], {}, up('main')),
      ['Stop main 30000'],
    ],
    [
      'counts the grace period from the beginning of the end',
      view(pod({}, deleted), [running('main')], { endingSinceMs: nowMs - 10_000 }, up('main')),
      ['Stop main 20000'],
    ],
    [
      'gives two seconds to a pod deleted with grace 0',
      view(pod({}, { ...deleted, deletionGracePeriodSeconds: 0 }), [running('main')]),
      ['Stop main 2000'],
    ],
    [
      'shortens a stop that is under way',
      view(
        pod({}, { ...deleted, deletionGracePeriodSeconds: 5 }),
        [running('main')],
        {},
        { main: { operation: 'stopping', stopDeadlineMs: nowMs + 30_000 } },
      ),
      ['Stop main 5000'],
    ],
    [
      'does not lengthen one',
      view(
        pod({}, deleted),
        [running('main')],
        {},
        { main: { operation: 'stopping', stopDeadlineMs: nowMs + 1000 } },
      ),
      [],
    ],
    [
      'waits for a start that is under way before it stops',
      view(pod({}, deleted), [], {}, { main: { operation: 'starting' } }),
      [],
    ],
    ['starts nothing in a deleted pod', view(pod({}, deleted), [exited('main', 1)]), ['CleanUp']],
    [
      'stops sidecars only after the others',
      view({ ...withInit(), metadata: deleted }, [running('side'), running('main')]),
      ['Stop main 30000'],
    ],
    [
      'stops sidecars then',
      view({ ...withInit(), metadata: deleted }, [running('side'), exited('main', 0)]),
      ['Stop side 30000'],
    ],
    ['cleans up once', view(pod({}, deleted), [], { cleanup: 'running' }), []],
    ['cleans up a pod that is gone from the API', view(pod(), [], { removed: true }), ['CleanUp']],
    [
      'fails a pod after its deadline',
      view(pod({ activeDeadlineSeconds: 60 }), [running('main')]),
      ['Fail DeadlineExceeded'],
    ],
    [
      'stops a failed pod and keeps it',
      view(pod(), [running('main')], { failure: { reason: 'r', message: 'm' } }),
      ['Stop main 30000'],
    ],
    [
      'leaves a failed pod that has ended',
      view(pod(), [exited('main', 1)], { failure: { reason: 'r', message: 'm' } }),
      [],
    ],
    [
      'stops sidecars of a pod that is done',
      view(withInit('Never'), [exited('one', 0), running('side'), exited('two', 0), exited('main', 0)]),
      ['Stop side 30000'],
    ],
    [
      'starts nothing in a pod that the API calls ended',
      view({ ...pod(), status: { phase: 'Succeeded' } }),
      [],
    ],
  ];
  for (const [sentence, of, expected] of table) {
    it(sentence, () => assert.deepEqual(acts(of), expected));
  }

  it('wakes itself for a backoff and for a deadline, whichever is first', () => {
    const crash = { delayMs: 10_000, updatedAtMs: nowMs - 5000 };
    const waiting = view(pod({ activeDeadlineSeconds: 600 }), [exited('main', 1)], {}, { main: { crash } });
    assert.equal(decide(waiting).wakeAtMs, nowMs - 1 + 10_000);
    assert.equal(decide(waiting).waiting['main']?.reason, 'CrashLoopBackOff');
    assert.match(
      decide(waiting).waiting['main']?.message ?? '',
      /^back-off 10s restarting failed container=main pod=p_default\(u\)$/,
    );
    const soon = view(pod({ activeDeadlineSeconds: 61 }), [exited('main', 1)], {}, { main: { crash } });
    assert.equal(decide(soon).wakeAtMs, nowMs + 1000);
  });

  it('shows a failure first by its name, then as a backoff', () => {
    const startFailure = {
      reason: 'ErrImagePull',
      backoffReason: 'ImagePullBackOff',
      message: 'm',
      backoffMessage: 'b',
      delayMs: 10_000,
    };
    const at = (sinceMs: number) =>
      decide(view(pod(), [], {}, { main: { startFailure: { ...startFailure, sinceMs } } }));
    assert.deepEqual(at(nowMs).waiting['main'], { reason: 'ErrImagePull', message: 'm' });
    assert.deepEqual(at(nowMs - 3000).waiting['main'], { reason: 'ImagePullBackOff', message: 'b' });
    assert.equal(at(nowMs - 10_000).actions.length, 1);
  });

  it('calls a pod by its exit codes', () => {
    const of = (code: number) => outcome(view(pod({ restartPolicy: 'Never' }), [exited('main', code)]));
    assert.deepEqual([of(0), of(1)], ['Succeeded', 'Failed']);
    assert.equal(outcome(view(pod(), [exited('main', 1)])), undefined);
  });
});
