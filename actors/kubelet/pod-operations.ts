/**
 * What a pod worker has done for it, each a promise that always resolves with what became of it: prepare
 * volumes, start and stop containers, hooks, probes. Decides nothing; says to the API's events what it
 * does.
 */
import { ApiError } from '../client/index.js';
import type { Container, LifecycleHandler, Pod, Probe } from '../objects/types/core.js';
import type { Clock } from '../../transport/index.js';
import { argvOf, ContainerConfigError, environmentOf, referencesOf } from './container-environment.js';
import {
  collect,
  type ContainerConfig,
  type ContainerMount,
  ImageError,
  type ImageRequest,
  type ResolvedImage,
  RuntimeError,
} from './container-runtime.js';
import type { KubeletParts } from './kubelet-parts.js';
import { fetchObjects, TokenCache } from './pod-objects.js';
import { type ProbeOutcome, portNumber, timeoutMs } from './probe-state.js';
import { volumeContent, VolumeError, volumeNeeds } from './volume-content.js';

export interface Refusal {
  readonly reason: string;
  readonly backoffReason: string;
  readonly message: string;
  readonly image: boolean;
}

export type StartResult =
  { readonly type: 'started'; readonly id: string } | { readonly type: 'refused'; readonly refusal: Refusal };

export class PodOperations {
  readonly #parts: KubeletParts;
  readonly #clock: Clock;
  readonly #tokens: TokenCache;

  constructor(parts: KubeletParts, clock: Clock) {
    this.#parts = parts;
    this.#clock = clock;
    this.#tokens = new TokenCache(parts);
  }

  /** Writes all volumes. Resolves with what is missing, if anything. */
  async writeVolumes(pod: Pod, podIP: string): Promise<{ readonly failure?: string }> {
    const { runtime, hostIP, allocatable } = this.#parts;
    const needs = volumeNeeds(pod);
    let name = '';
    try {
      const objects = await fetchObjects(this.#parts, pod, needs);
      const tokens = await this.#tokens.tokens(pod, needs.tokens, this.#clock.nowMs());
      for (const volume of pod.spec?.volumes ?? []) {
        name = volume.name;
        const content = volumeContent(pod, volume, { ...objects, tokens, podIP, hostIP, allocatable });
        await runtime.writeVolume(pod.metadata!.uid!, content);
      }
      return {};
    } catch (error) {
      const message = expectedMessage(error);
      return {
        failure: name === '' ? message : `MountVolume.SetUp failed for volume "${name}" : ${message}`,
      };
    }
  }

  async start(pod: Pod, container: Container, attempt: number, podIP: string): Promise<StartResult> {
    const { events, runtime } = this.#parts;
    const image = await this.#image(pod, container);
    if ('reason' in image) return { type: 'refused', refusal: image };
    let id: string;
    try {
      const config = await this.#config(pod, container, attempt, podIP, image);
      id = await runtime.create(config);
    } catch (error) {
      const message = expectedMessage(error);
      const reason = error instanceof RuntimeError ? 'CreateContainerError' : 'CreateContainerConfigError';
      events.event(pod, 'Warning', 'Failed', `Error: ${message}`);
      return { type: 'refused', refusal: { reason, backoffReason: reason, message, image: false } };
    }
    events.event(pod, 'Normal', 'Created', `Created container: ${container.name}`);
    if (runtime.mountPlacement === 'belowRoot' && (container.volumeMounts ?? []).some(isAsked)) {
      const where = 'at $KABUKI_ROOT<mountPath> only, not at their mount paths';
      const message = `Container ${container.name} finds its volumes ${where}: isolation ${runtime.isolation}`;
      events.event(pod, 'Warning', 'VolumesNotMounted', message);
    }
    await runtime.startContainer(id);
    const record = runtime.get(id);
    if (record?.reason === 'StartError') events.event(pod, 'Warning', 'Failed', `Error: ${record.message}`);
    else events.event(pod, 'Normal', 'Started', `Started container ${container.name}`);
    return { type: 'started', id };
  }

  /**
   * preStop hook, then the stop signal, then SIGKILL; all within the grace period, but never without a
   * moment.
   */
  async stop(pod: Pod, container: Container, id: string, graceMs: number, shorten: boolean): Promise<void> {
    const { runtime, limits, events } = this.#parts;
    const startedAtMs = this.#clock.monotonicMs();
    const hook = container.lifecycle?.preStop;
    if (hook && !shorten && graceMs > 0) {
      const failure = await this.hook(pod, container, id, hook, graceMs);
      if (failure !== undefined)
        events.event(pod, 'Warning', 'FailedPreStopHook', `PreStopHook failed: ${failure}`);
    }
    const leftMs = graceMs - (this.#clock.monotonicMs() - startedAtMs);
    if (runtime.get(id) !== undefined) await runtime.stop(id, Math.max(leftMs, limits.graceMinMs));
  }

  /** Resolves with what went wrong, if anything. */
  async hook(
    pod: Pod,
    container: Container,
    id: string,
    handler: LifecycleHandler,
    withinMs: number,
  ): Promise<string | undefined> {
    if (handler.sleep) {
      await this.#sleep(Math.min(handler.sleep.seconds * 1000, withinMs));
      return undefined;
    }
    const outcome = await this.#ask(pod, container, id, handler, withinMs);
    return outcome.ok ? undefined : outcome.message;
  }

  probe(pod: Pod, container: Container, id: string, probe: Probe, podIP: string): Promise<ProbeOutcome> {
    const at = { ...pod, status: { ...pod.status, podIP } };
    return this.#ask(at, container, id, probe, timeoutMs(probe));
  }

  async #ask(
    pod: Pod,
    container: Container,
    id: string,
    question: Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'>,
    withinMs: number,
  ): Promise<ProbeOutcome> {
    const host = pod.status?.podIP ?? this.#parts.hostIP;
    try {
      if (question.exec) return await this.#exec(id, question.exec.command ?? [], withinMs);
      if (question.httpGet) return await this.#http(container, question.httpGet, host, withinMs);
      if (question.tcpSocket) {
        const port = portNumber(container, question.tcpSocket.port);
        if (port === undefined) return { ok: false, message: `no port ${question.tcpSocket.port}` };
        await this.#parts.network.probeTcp(question.tcpSocket.host ?? host, port, withinMs);
        return { ok: true, message: '' };
      }
      const kind = question.grpc ? 'grpc probes are' : 'a probe without exec, httpGet or tcpSocket is';
      return { ok: false, message: `${kind} not supported by this kubelet: use exec, httpGet or tcpSocket` };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  }

  async #exec(id: string, command: readonly string[], withinMs: number): Promise<ProbeOutcome> {
    const { runtime, limits } = this.#parts;
    const streams = await runtime.exec(id, { command, stdin: false, tty: false });
    let late = false;
    const timer = this.#clock.setTimer(withinMs, () => {
      late = true;
      streams.cancel();
    });
    const { exitCode, output } = await collect(streams, limits.execProbeOutputBytesMax);
    timer.cancel();
    if (late) return { ok: false, message: `command ${JSON.stringify(command.join(' '))} timed out` };
    return { ok: exitCode === 0, message: output };
  }

  async #http(
    container: Container,
    action: NonNullable<Probe['httpGet']>,
    host: string,
    withinMs: number,
  ): Promise<ProbeOutcome> {
    const port = portNumber(container, action.port);
    if (port === undefined) return { ok: false, message: `no port ${action.port}` };
    const path = action.path ?? '/';
    const { status } = await this.#parts.network.http({
      scheme: action.scheme?.toUpperCase() === 'HTTPS' ? 'https' : 'http',
      host: action.host || host,
      port,
      path: path.startsWith('/') ? path : `/${path}`,
      headers: (action.httpHeaders ?? []).map(({ name, value }) => [name, value] as const),
      timeoutMs: withinMs,
    });
    const ok = status >= 200 && status < 400;
    return { ok, message: ok ? '' : `HTTP probe failed with statuscode: ${status}` };
  }

  async #image(pod: Pod, container: Container): Promise<ResolvedImage | Refusal> {
    const { runtime, events } = this.#parts;
    const name = container.image ?? '';
    const request: ImageRequest = {
      image: name,
      pullPolicy: (container.imagePullPolicy ?? 'IfNotPresent') as ImageRequest['pullPolicy'],
      hasCommand: (container.command ?? []).length > 0,
      port: container.ports?.find(({ protocol }) => (protocol ?? 'TCP') === 'TCP')?.containerPort,
    };
    try {
      const image = await runtime.resolveImage(request);
      if (image.standIn === undefined) {
        events.event(pod, 'Normal', 'Pulled', `Container image "${name}" already present on machine`);
      } else {
        events.event(
          pod,
          'Normal',
          'StandIn',
          `Container ${container.name}, image "${name}": ${image.standIn}`,
        );
      }
      return image;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      events.event(pod, 'Warning', 'Failed', `Failed to pull image "${name}": ${error.message}`);
      events.event(pod, 'Warning', 'Failed', `Error: ${error.reason}`);
      const backoffReason = error.reason === 'ErrImagePull' ? 'ImagePullBackOff' : error.reason;
      return { reason: error.reason, backoffReason, message: error.message, image: true };
    }
  }

  async #config(
    pod: Pod,
    container: Container,
    attempt: number,
    podIP: string,
    image: ResolvedImage,
  ): Promise<ContainerConfig> {
    const { nodeName, hostIP, allocatable, services } = this.#parts;
    const objects = await fetchObjects(this.#parts, pod, referencesOf(container));
    const env = environmentOf(pod, container, {
      ...objects,
      podIP,
      hostIP,
      allocatable,
      services: services.list(),
    });
    const metadata = pod.metadata ?? {};
    return {
      podUid: metadata.uid ?? '',
      podNamespace: metadata.namespace ?? '',
      podName: metadata.name ?? '',
      podIP,
      nodeName,
      podAnnotations: metadata.annotations ?? {},
      name: container.name,
      attempt,
      image,
      argv: argvOf(container, image, env),
      env: [...env],
      ...(container.workingDir ? { workingDir: container.workingDir } : {}),
      mounts: mountsOf(container, env),
      stdin: container.stdin ?? false,
      stdinOnce: container.stdinOnce ?? false,
      tty: container.tty ?? false,
      ...this.#user(pod, container),
      ...(container.lifecycle?.stopSignal === undefined
        ? {}
        : { stopSignal: container.lifecycle.stopSignal }),
      terminationMessagePath: container.terminationMessagePath ?? '/dev/termination-log',
    };
  }

  #user(pod: Pod, container: Container): { user?: number; group?: number } {
    const security = { ...pod.spec?.securityContext, ...container.securityContext };
    const { runAsUser, runAsGroup, runAsNonRoot } = security;
    if (runAsNonRoot && runAsUser === 0) {
      throw new ContainerConfigError("container's runAsUser breaks non-root policy");
    }
    if (!this.#parts.mayChangeUser) {
      const asked = runAsUser ?? runAsGroup;
      if (asked !== undefined) {
        const who = `Container ${container.name} runs as the user of the kubelet`;
        const message = `${who}: only root can apply runAsUser and runAsGroup`;
        this.#parts.events.event(pod, 'Warning', 'SecurityContextNotApplied', message);
      }
      return {};
    }
    // The image that would name a user is not there: nobody.
    const user = runAsUser ?? (runAsNonRoot ? 65534 : undefined);
    return {
      ...(user === undefined ? {} : { user }),
      ...(runAsGroup === undefined ? {} : { group: runAsGroup }),
    };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#clock.setTimer(ms, resolve));
  }
}

/** The token that admission adds to every pod is not worth an event of its own. */
function isAsked(mount: { readonly mountPath: string }): boolean {
  return mount.mountPath !== '/var/run/secrets/kubernetes.io/serviceaccount';
}

function mountsOf(container: Container, env: ReadonlyMap<string, string>): ContainerMount[] {
  if ((container.volumeDevices ?? []).length > 0) {
    throw new ContainerConfigError('block volumes (volumeDevices) are not supported on this node');
  }
  return (container.volumeMounts ?? []).map((mount) => {
    const subPath = mount.subPathExpr === undefined ? mount.subPath : expandPath(mount.subPathExpr, env);
    return {
      volume: mount.name,
      mountPath: mount.mountPath,
      readOnly: mount.readOnly ?? false,
      ...(subPath ? { subPath } : {}),
    };
  });
}

function expandPath(expression: string, env: ReadonlyMap<string, string>): string {
  return expression.replaceAll(/\$\(([^()]*)\)/g, (_found, name: string) => {
    const value = env.get(name);
    if (value === undefined) throw new ContainerConfigError(`subPathExpr: variable ${name} is not defined`);
    return value;
  });
}

/**
 * Errors that a pod's author or the cluster's state can cause; anything else is a fault of ours and
 * crashes.
 */
function expectedMessage(error: unknown): string {
  const expected =
    error instanceof ContainerConfigError ||
    error instanceof VolumeError ||
    error instanceof RuntimeError ||
    error instanceof ApiError ||
    (error as NodeJS.ErrnoException).syscall !== undefined;
  if (!expected) throw error;
  return (error as Error).message;
}
