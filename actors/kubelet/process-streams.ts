/**
 * Edge: conversations with processes, for exec and attach. Output that nobody takes makes the process wait.
 */
import type { ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { constants as osConstants } from 'node:os';
import type { Clock } from '../../transport/index.js';
import { ChunkQueue } from './chunk-queue.js';
import type { ContainerStreams, OutputChunk } from './container-runtime.js';
import type { RuntimeLimits } from './limits.js';
import { signalGroup } from './process-group.js';

/** Taken hold of right after the spawn: a short program may end before anybody else listens. */
export interface Ending {
  /** 128 + the number of the signal if one ended it. */
  readonly exit: Promise<number>;
  /** All pipes have come to their end, too. */
  readonly closed: Promise<void>;
}

export function endingOf(child: ChildProcess): Ending {
  return {
    exit: new Promise((resolve) => {
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (osConstants.signals[signal ?? 'SIGKILL'] ?? 0)),
      );
    }),
    closed: new Promise((resolve) => child.once('close', () => resolve())),
  };
}

export function processStreams(
  child: ChildProcess,
  ending: Ending,
  limits: RuntimeLimits,
  clock: Clock,
): ContainerStreams {
  const pipes = [child.stdout!, child.stderr!];
  const queue = outputQueue(limits, (paused) => {
    for (const pipe of pipes) {
      if (paused) pipe.pause();
      else pipe.resume();
    }
  });
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]!.on('data', (bytes: Buffer) => pushChunks(queue, stream, bytes, limits));
    child[stream]!.on('error', () => {});
  }
  child.stdin?.on('error', () => {});
  const exit = ending.exit.then(async (exitCode) => {
    const timer = clock.setTimer(limits.drainAfterExitMs, () => {
      for (const pipe of pipes) if (!pipe.isPaused()) pipe.destroy();
    });
    await ending.closed;
    timer.cancel();
    queue.end();
    return exitCode;
  });
  return {
    output: queue,
    write: (bytes) => writeTo(child.stdin, bytes),
    endInput: () => child.stdin?.end(),
    exit,
    cancel: () => {
      if (child.exitCode === null && child.signalCode === null) signalGroup(child.pid!, 'SIGKILL');
    },
  };
}

export function attachedStreams(container: {
  readonly stdin: Writable | null;
  /** `stdinOnce`: the container's stdin ends with the first session. */
  readonly closeStdin: boolean;
  readonly limits: RuntimeLimits;
  readonly ended: Promise<number>;
  listen(listener: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void): () => void;
}): ContainerStreams {
  const { limits, stdin } = container;
  let behind = false;
  // One slow reader must not stop the container: what it cannot take is in the log.
  const queue = outputQueue(limits, (paused) => {
    behind = paused;
  });
  const stopListening = container.listen((stream, bytes) => {
    if (!behind) pushChunks(queue, stream, bytes, limits);
  });
  const finish = () => {
    stopListening();
    queue.end();
  };
  void container.ended.then(finish);
  return {
    output: queue,
    write: (bytes) => writeTo(stdin, bytes),
    endInput: () => {
      if (container.closeStdin) stdin?.end();
    },
    exit: container.ended,
    cancel: () => {
      finish();
      if (container.closeStdin) stdin?.end();
    },
  };
}

function outputQueue(limits: RuntimeLimits, onPressure: (paused: boolean) => void): ChunkQueue<OutputChunk> {
  return new ChunkQueue<OutputChunk>(limits.streamBufferBytesMax, ({ bytes }) => bytes.length, onPressure);
}

function pushChunks(
  queue: ChunkQueue<OutputChunk>,
  stream: 'stdout' | 'stderr',
  bytes: Uint8Array,
  limits: RuntimeLimits,
): void {
  for (let at = 0; at < bytes.length; at += limits.streamChunkBytesMax) {
    queue.push({ stream, bytes: bytes.subarray(at, at + limits.streamChunkBytesMax) });
  }
}

function writeTo(stdin: Writable | null, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stdin === null || stdin.destroyed || stdin.writableEnded) resolve();
    else stdin.write(bytes, () => resolve());
  });
}
