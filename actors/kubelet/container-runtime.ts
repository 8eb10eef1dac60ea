/**
 * What runs containers for a kubelet: the seam between the decisions about a pod and the machine. Two
 * implementations pass one suite (test/actors/kubelet/container-runtime.case.ts): `process-runtime.ts`
 * (host processes) and `simulated-runtime.ts` (nothing but a clock). Shaped after the CRI, so that
 * containerd can stand behind it later.
 */
import type { LogOptions } from './messages.js';

export interface ContainerRuntime {
  /** Scheme of container ids in the API: `process` gives `process://<id>`. */
  readonly name: string;
  readonly version: string;
  /** What keeps containers apart, in a few words, for the Node's annotation. */
  readonly isolation: string;
  /** Where containers find their volumes; both are known after `start`. */
  readonly mountPlacement: 'mountPath' | 'belowRoot';
  /** Picks up what an earlier life left behind: ended containers are listed, running ones are ended. */
  start(): Promise<void>;
  /** `listener` hears of every change of a container of any pod. Returns the way to stop listening. */
  onChange(listener: (podUid: string) => void): () => void;
  /** Finds what an image name stands for. Rejects with ImageError. */
  resolveImage(request: ImageRequest): Promise<ResolvedImage>;
  /** Makes the container ready to start; resolves with its id. Rejects with RuntimeError. */
  create(config: ContainerConfig): Promise<string>;
  /**
   * A program that cannot be started counts as one that ended: state exited, code 128, reason `StartError`.
   */
  startContainer(id: string): Promise<void>;
  /**
   * Stop signal now, SIGKILL after `graceMs`; resolves when the container has ended. A second call with
   * less grace shortens the first.
   */
  stop(id: string, graceMs: number): Promise<void>;
  /** Forgets an ended or never started container with its files. */
  remove(id: string): Promise<void>;
  /** What this runtime knows, oldest first; the view is up to date whenever `onChange` calls. */
  list(podUid?: string): readonly ContainerRecord[];
  get(id: string): ContainerRecord | undefined;
  /** Runs another program in a running container. */
  exec(id: string, request: ExecRequest): Promise<ContainerStreams>;
  /** Output from now on, and the container's stdin if it has one. */
  attach(id: string): Promise<ContainerStreams>;
  /** The log, line by line in chunks. With `follow` until the container has ended or the reader stops. */
  logs(id: string, options: LogOptions): AsyncIterable<Uint8Array>;
  /**
   * Puts a volume's content where containers of the pod will find it; a second call replaces it atomically.
   */
  writeVolume(podUid: string, volume: VolumeContent): Promise<void>;
  /** Removes the pod's volumes and whatever else is kept for it; its containers must have ended. */
  removePod(podUid: string): Promise<void>;
  /** Pods that left files behind, with or without containers. */
  podUids(): readonly string[];
  /** Ends every container that this runtime started; `start` opens it again. */
  close(): Promise<void>;
}

export interface ImageRequest {
  readonly image: string;
  readonly pullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** The container says itself what to run, so nothing of the image is needed. */
  readonly hasCommand: boolean;
  /** First declared TCP port of the container. */
  readonly port: number | undefined;
}

export interface ResolvedImage {
  readonly image: string;
  /** `imageID` in the status. */
  readonly imageId: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  /** Absolute paths of programs of the image, and what runs in their place (`/agnhost`). */
  readonly programs: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string>>;
  /** Present if not the image itself runs: says in a sentence what runs instead. */
  readonly standIn?: string;
}

export interface ContainerConfig {
  readonly podUid: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly podIP: string;
  readonly nodeName: string;
  /** Annotations of the pod: plans of the simulated runtime. */
  readonly podAnnotations: Readonly<Record<string, string>>;
  readonly name: string;
  /** 0 for the first start, then counted up. */
  readonly attempt: number;
  readonly image: ResolvedImage;
  /** Program and arguments, variables already expanded. */
  readonly argv: readonly string[];
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly workingDir?: string;
  readonly mounts: readonly ContainerMount[];
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly user?: number;
  readonly group?: number;
  readonly stopSignal?: string;
  readonly terminationMessagePath: string;
}

export interface ContainerMount {
  readonly volume: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly readOnly: boolean;
}

export interface ContainerRecord {
  readonly id: string;
  readonly podUid: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly podIP: string;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageId: string;
  readonly state: 'created' | 'running' | 'exited';
  readonly createdAtMs: number;
  readonly startedAtMs?: number;
  readonly finishedAtMs?: number;
  /** 128 + signal number if a signal ended it. */
  readonly exitCode?: number;
  /** Overrides `Completed`/`Error` in the status: `StartError`, `ContainerStatusUnknown`. */
  readonly reason?: string;
  /** What the container wrote to its termination message path, or why it did not start. */
  readonly message?: string;
  /** The last lines of its log, kept when it ended with an error (FallbackToLogsOnError). */
  readonly logTail?: string;
}

export interface ExecRequest {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
}

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Uint8Array;
}

/** A conversation with a process. The producer waits while nobody takes from `output`. */
export interface ContainerStreams {
  readonly output: AsyncIterable<OutputChunk>;
  /** Resolves when the process has taken the bytes. Ignored after the end. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): void;
  /** The exit code, after all output was taken. */
  readonly exit: Promise<number>;
  /** Exec: ends the process. Attach: lets go of the container. */
  cancel(): void;
}

export type VolumeContent =
  | { readonly type: 'empty'; readonly name: string }
  | { readonly type: 'files'; readonly name: string; readonly files: readonly VolumeFile[] }
  | { readonly type: 'host'; readonly name: string; readonly path: string; readonly check: string };

export interface VolumeFile {
  /** Relative, without `..`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
}

/** `reason` is what stands in `state.waiting.reason`. */
export class ImageError extends Error {
  readonly reason: 'ErrImagePull' | 'ErrImageNeverPull' | 'InvalidImageName';

  constructor(reason: ImageError['reason'], message: string) {
    super(message);
    this.name = 'ImageError';
    this.reason = reason;
  }
}

export type RuntimeErrorCode =
  'NotFound' | 'NotRunning' | 'Exists' | 'Running' | 'Limit' | 'BadVolume' | 'Io';

export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RuntimeError';
    this.code = code;
  }
}

/** Takes all output of a short program, up to `bytesMax`. */
export async function collect(
  streams: ContainerStreams,
  bytesMax: number,
): Promise<{ exitCode: number; output: string }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const { bytes } of streams.output) {
    if (size < bytesMax) chunks.push(bytes.subarray(0, bytesMax - size));
    size += bytes.length;
  }
  return { exitCode: await streams.exit, output: Buffer.concat(chunks).toString('utf8') };
}
