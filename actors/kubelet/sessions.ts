/**
 * Logs, exec, attach and port-forward: streams between a session ref of an apiserver and a container, both
 * directions under credit. A session ends with its source, with KubeletCancel, or with the node that asked.
 */
import { isRecord } from 'raft-consensus';
import type { Pod } from '../objects/types/core.js';
import { type ActorRef, type ActorSystem, refShape } from '../runtime/index.js';
import { type ContainerRecord, type OutputChunk, RuntimeError } from './container-runtime.js';
import type { KubeletParts } from './kubelet-parts.js';
import type { ContainerSelector, KubeletMessage, KubeletReply } from './messages.js';
import { allContainers } from './pod-view.js';

type Opening = Extract<KubeletMessage, { replyTo: ActorRef<KubeletReply> }>;
type SessionEnd = Omit<Extract<KubeletReply, { type: 'KubeletEnded' }>, 'type' | 'sessionId'>;

/** What a session reads from and writes to. */
interface Source {
  readonly output: AsyncIterable<OutputChunk>;
  write?(bytes: Uint8Array): Promise<void>;
  endInput?(): void;
  cancel(): void;
  /** What `KubeletEnded` says. */
  end(): Promise<SessionEnd>;
}

interface Session {
  readonly id: string;
  readonly replyTo: ActorRef<KubeletReply>;
  credit: number;
  /** Called when credit arrives or the session is cancelled. */
  wake: (() => void) | undefined;
  cancelled: boolean;
  source: Source | undefined;
  /** Input letters taken and not yet written. */
  inputs: number;
  stopWatchingNode: () => void;
}

class SessionError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export class Sessions {
  readonly #parts: KubeletParts;
  readonly #system: ActorSystem;
  readonly #podOf: (selector: ContainerSelector) => Pod | undefined;
  readonly #sessions = new Map<string, Session>();

  constructor(
    parts: KubeletParts,
    system: ActorSystem,
    podOf: (selector: ContainerSelector) => Pod | undefined,
  ) {
    this.#parts = parts;
    this.#system = system;
    this.#podOf = podOf;
  }

  receive(message: KubeletMessage): void {
    if ('replyTo' in message) return this.#open(message);
    const sender = this.#system.sender();
    const session = this.#sessions.get(message.sessionId);
    // A letter that comes after the end, or from somebody else.
    if (session === undefined || (sender && sender.node !== session.replyTo.node)) return;
    switch (message.type) {
      case 'KubeletCredit':
        session.credit += message.chunks;
        session.wake?.();
        return;
      case 'KubeletCancel':
        return this.#cancel(session);
      case 'KubeletInput':
        return this.#input(session, message.bytes);
      case 'KubeletInputEnd':
        session.source?.endInput?.();
        return;
      case 'KubeletResize':
        // Without a terminal there is nothing to resize.
        return;
      default:
        message satisfies never;
    }
  }

  /** `message` is malformed: whoever wants to open a session is told. */
  refuse(message: unknown, why: string): void {
    const { replyTo, sessionId } = isRecord(message) ? message : {};
    if (refShape(replyTo) !== undefined || typeof sessionId !== 'string') return;
    const error = { status: 400, reason: 'BadRequest', message: why };
    this.#system.tell(replyTo as ActorRef<KubeletReply>, { type: 'KubeletEnded', sessionId, error });
  }

  close(): void {
    for (const session of this.#sessions.values()) this.#cancel(session);
  }

  #open(message: Opening): void {
    const { sessionId, replyTo, credit } = message;
    if (this.#sessions.size >= this.#parts.limits.sessionsMax || this.#sessions.has(sessionId)) {
      const error = {
        status: 429,
        reason: 'TooManyRequests',
        message: `the kubelet of ${this.#parts.nodeName} has ${this.#sessions.size} sessions open`,
      };
      this.#system.tell(replyTo, { type: 'KubeletEnded', sessionId, error });
      return;
    }
    const session: Session = {
      id: sessionId,
      replyTo,
      credit,
      wake: undefined,
      cancelled: false,
      source: undefined,
      inputs: 0,
      stopWatchingNode: () => {},
    };
    this.#sessions.set(sessionId, session);
    session.stopWatchingNode = this.#system.onNodeDown(replyTo.node, () => this.#cancel(session));
    void this.#serve(session, message);
  }

  async #serve(session: Session, message: Opening): Promise<void> {
    let end: SessionEnd;
    try {
      const source = await this.#source(message);
      session.source = source;
      if (session.cancelled) source.cancel();
      const { sessionInputCredit } = this.#parts.limits;
      this.#system.tell(session.replyTo, {
        type: 'KubeletStarted',
        sessionId: session.id,
        credit: source.write ? sessionInputCredit : 0,
      });
      for await (const { stream, bytes } of source.output) {
        if (!(await this.#mayOutput(session))) break;
        this.#system.tell(session.replyTo, { type: 'KubeletOutput', sessionId: session.id, stream, bytes });
      }
      end = session.cancelled ? {} : await source.end();
    } catch (error) {
      end = { error: errorOf(error) };
    }
    this.#sessions.delete(session.id);
    session.stopWatchingNode();
    this.#system.tell(session.replyTo, { type: 'KubeletEnded', sessionId: session.id, ...end });
  }

  /** Waits for credit; false when the session was cancelled. */
  async #mayOutput(session: Session): Promise<boolean> {
    while (session.credit === 0 && !session.cancelled) {
      await new Promise<void>((resolve) => {
        session.wake = resolve;
      });
      session.wake = undefined;
    }
    session.credit -= 1;
    return !session.cancelled;
  }

  #cancel(session: Session): void {
    session.cancelled = true;
    session.source?.cancel();
    session.wake?.();
  }

  #input(session: Session, bytes: Uint8Array): void {
    const { source } = session;
    // More than it was given credit for: the other side does not keep to the protocol.
    if (session.inputs >= this.#parts.limits.sessionInputCredit || !source?.write)
      return this.#cancel(session);
    session.inputs += 1;
    void source.write(bytes).then(() => {
      session.inputs -= 1;
      if (session.cancelled) return;
      this.#system.tell(session.replyTo, { type: 'KubeletInputCredit', sessionId: session.id, chunks: 1 });
    });
  }

  async #source(message: Opening): Promise<Source> {
    const pod = this.#pod(message.target);
    switch (message.type) {
      case 'KubeletLogs':
        return this.#logs(pod, message);
      case 'KubeletExec':
        return this.#exec(pod, message);
      case 'KubeletAttach':
        return this.#attach(pod, message);
      case 'KubeletPortForward':
        return this.#portForward(pod, message.port);
      default:
        return message satisfies never;
    }
  }

  #pod(target: ContainerSelector): Pod {
    const pod = this.#podOf(target);
    if (pod === undefined || (target.podUid !== undefined && !isSame(pod, target.podUid))) {
      throw new SessionError(
        404,
        'NotFound',
        `pods "${target.pod}" not found on node ${this.#parts.nodeName}`,
      );
    }
    return pod;
  }

  #logs(pod: Pod, message: Extract<Opening, { type: 'KubeletLogs' }>): Source {
    const { runtime } = this.#parts;
    const name = containerName(pod, message.target.container);
    const records = this.#records(pod, name);
    const newest = records.at(-1);
    // While a container waits to be restarted, its last output is what one wants to see.
    const record = message.options.previous
      ? records.filter(({ state }) => state === 'exited').at(newest?.state === 'exited' ? -2 : -1)
      : newest;
    if (message.options.previous && record === undefined) {
      throw badRequest(`previous terminated container "${name}" in pod "${pod.metadata?.name}" not found`);
    }
    if (record === undefined) {
      const status = [
        ...(pod.status?.initContainerStatuses ?? []),
        ...(pod.status?.containerStatuses ?? []),
      ].find((one) => one.name === name);
      const why = status?.state?.waiting?.reason ?? 'ContainerCreating';
      throw badRequest(`container "${name}" in pod "${pod.metadata?.name}" is waiting to start: ${why}`);
    }
    const lines = runtime.logs(record.id, message.options)[Symbol.asyncIterator]();
    let stop: (() => void) | undefined;
    const stopped = new Promise<undefined>((resolve) => {
      stop = () => resolve(undefined);
    });
    return {
      output: takeUntil(lines, stopped),
      cancel: () => stop?.(),
      end: async () => ({}),
    };
  }

  async #exec(pod: Pod, message: Extract<Opening, { type: 'KubeletExec' }>): Promise<Source> {
    const { command, stdin, tty, target } = message;
    if (command.length === 0) throw badRequest('you must specify at least one command for the container');
    const record = this.#running(pod, target);
    const streams = await this.#parts.runtime.exec(record.id, { command, stdin, tty });
    return {
      ...(stdin
        ? { write: (bytes: Uint8Array) => streams.write(bytes), endInput: () => streams.endInput() }
        : {}),
      output: tty ? withTerminalNotice(streams.output) : streams.output,
      cancel: () => streams.cancel(),
      end: async () => ({ exitCode: await streams.exit }),
    };
  }

  async #attach(pod: Pod, message: Extract<Opening, { type: 'KubeletAttach' }>): Promise<Source> {
    const record = this.#running(pod, message.target);
    const container = allContainers(pod).find(({ name }) => name === record.name);
    const stdin = message.stdin && container?.stdin === true;
    const streams = await this.#parts.runtime.attach(record.id);
    return {
      ...(stdin
        ? { write: (bytes: Uint8Array) => streams.write(bytes), endInput: () => streams.endInput() }
        : {}),
      output: streams.output,
      cancel: () => streams.cancel(),
      end: async () => ({ exitCode: await streams.exit }),
    };
  }

  async #portForward(pod: Pod, port: number): Promise<Source> {
    const host = pod.status?.podIP;
    if (host === undefined || pod.status?.phase !== 'Running') {
      throw badRequest(
        `unable to forward port because pod is not running. Current status=${pod.status?.phase ?? 'Pending'}`,
      );
    }
    const connection = await this.#parts.network.connect(host, port);
    return {
      output: asOutput(connection.output),
      write: (bytes) => connection.write(bytes),
      endInput: () => connection.endInput(),
      cancel: () => connection.close(),
      end: async () => {
        connection.close();
        return {};
      },
    };
  }

  #running(pod: Pod, target: ContainerSelector): ContainerRecord {
    const name = containerName(pod, target.container);
    const record = this.#records(pod, name).at(-1);
    if (record?.state !== 'running') {
      throw new SessionError(
        500,
        'InternalError',
        `container ${name} of pod ${pod.metadata?.name} is not running`,
      );
    }
    return record;
  }

  #records(pod: Pod, name: string): ContainerRecord[] {
    return this.#parts.runtime.list(pod.metadata?.uid ?? '').filter((record) => record.name === name);
  }
}

function containerName(pod: Pod, asked: string | undefined): string {
  const names = allContainers(pod).map(({ name }) => name);
  const podName = pod.metadata?.name;
  const only = pod.spec?.containers.length === 1 ? pod.spec.containers[0]?.name : undefined;
  const name = asked ?? pod.metadata?.annotations?.['kubectl.kubernetes.io/default-container'] ?? only;
  if (name === undefined) {
    throw badRequest(
      `a container name must be specified for pod ${podName}, choose one of: [${names.join(' ')}]`,
    );
  }
  if (!names.includes(name)) throw badRequest(`container ${name} is not valid for pod ${podName}`);
  return name;
}

/** A static pod goes by the uid of its manifest here, and by that of its mirror in the API. */
function isSame(pod: Pod, uid: string): boolean {
  return (
    pod.metadata?.uid === uid || pod.metadata?.annotations?.['kubernetes.io/config.mirror'] !== undefined
  );
}

function badRequest(message: string): SessionError {
  return new SessionError(400, 'BadRequest', message);
}

function errorOf(error: unknown): { status: number; reason: string; message: string } {
  if (error instanceof SessionError)
    return { status: error.status, reason: error.reason, message: error.message };
  const message = (error as Error).message;
  if (error instanceof RuntimeError && error.code === 'Limit') {
    return { status: 429, reason: 'TooManyRequests', message };
  }
  return { status: 500, reason: 'InternalError', message };
}

async function* takeUntil(
  lines: AsyncIterator<Uint8Array>,
  stopped: Promise<undefined>,
): AsyncGenerator<OutputChunk, void, void> {
  try {
    for (;;) {
      const next = await Promise.race([lines.next(), stopped]);
      if (next === undefined || next.done) return;
      yield { stream: 'stdout', bytes: next.value };
    }
  } finally {
    // Not awaited: a follower that waits for the next line ends when that comes, or with the container.
    void lines.return?.();
  }
}

async function* asOutput(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<OutputChunk, void, void> {
  for await (const bytes of chunks) yield { stream: 'stdout', bytes };
}

async function* withTerminalNotice(
  output: AsyncIterable<OutputChunk>,
): AsyncGenerator<OutputChunk, void, void> {
  const notice =
    'kabuki: containers of this node have no terminal; running without one (no prompt, no line editing)\r\n';
  // On a terminal everything comes on stdout.
  yield { stream: 'stdout', bytes: Buffer.from(notice) };
  for await (const { bytes } of output) yield { stream: 'stdout', bytes };
}
