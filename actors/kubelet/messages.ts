/**
 * What an apiserver asks of the kubelet of a node: logs and sessions in containers (`kubectl logs`, `exec`,
 * `attach`, `port-forward`). A session is a full-duplex stream of letters between a kubelet actor and a session ref
 * of the apiserver, both directions bounded by credit.
 */
import {
  bytes,
  count,
  flag,
  listOf,
  oneOf,
  optional,
  record,
  type ShapeOf,
  type ShapesOf,
  text,
  whole,
} from 'raft-consensus';
import { type ActorRef, refShape } from '../runtime/index.js';

export interface ContainerSelector {
  readonly namespace: string;
  readonly pod: string;
  /** Guards against a pod that was recreated under the same name. */
  readonly podUid?: string;
  /** Absent: the only container, or the `kubectl.kubernetes.io/default-container`; else an error that lists the names. */
  readonly container?: string;
}

export interface LogOptions {
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tailLines?: number;
  readonly sinceSeconds?: number;
  /** RFC 3339 */
  readonly sinceTime?: string;
  readonly timestamps?: boolean;
  readonly limitBytes?: number;
}

export type KubeletMessage =
  | {
      readonly type: 'KubeletLogs';
      readonly sessionId: string;
      readonly target: ContainerSelector;
      readonly options: LogOptions;
      readonly replyTo: ActorRef<KubeletReply>;
      readonly credit: number;
    }
  | {
      readonly type: 'KubeletExec';
      readonly sessionId: string;
      readonly target: ContainerSelector;
      readonly command: readonly string[];
      readonly stdin: boolean;
      readonly tty: boolean;
      readonly replyTo: ActorRef<KubeletReply>;
      readonly credit: number;
    }
  | {
      readonly type: 'KubeletAttach';
      readonly sessionId: string;
      readonly target: ContainerSelector;
      readonly stdin: boolean;
      readonly tty: boolean;
      readonly replyTo: ActorRef<KubeletReply>;
      readonly credit: number;
    }
  | {
      readonly type: 'KubeletPortForward';
      readonly sessionId: string;
      readonly target: ContainerSelector;
      readonly port: number;
      readonly replyTo: ActorRef<KubeletReply>;
      readonly credit: number;
    }
  /** stdin, or bytes towards the forwarded port. */
  | { readonly type: 'KubeletInput'; readonly sessionId: string; readonly bytes: Uint8Array }
  | { readonly type: 'KubeletInputEnd'; readonly sessionId: string }
  | {
      readonly type: 'KubeletResize';
      readonly sessionId: string;
      readonly columns: number;
      readonly rows: number;
    }
  | { readonly type: 'KubeletCredit'; readonly sessionId: string; readonly chunks: number }
  | { readonly type: 'KubeletCancel'; readonly sessionId: string };

export type KubeletReply =
  /** The session stands; output follows. `credit` is how many KubeletInput letters may be sent. */
  | { readonly type: 'KubeletStarted'; readonly sessionId: string; readonly credit: number }
  | {
      readonly type: 'KubeletOutput';
      readonly sessionId: string;
      readonly stream: 'stdout' | 'stderr';
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'KubeletInputCredit'; readonly sessionId: string; readonly chunks: number }
  /** The last letter. `exitCode` for exec and attach. */
  | {
      readonly type: 'KubeletEnded';
      readonly sessionId: string;
      readonly exitCode?: number;
      readonly error?: { readonly status: number; readonly reason: string; readonly message: string };
    };

const target: ShapeOf<ContainerSelector> = {
  namespace: text,
  pod: text,
  podUid: optional(text),
  container: optional(text),
};

const options: ShapeOf<LogOptions> = {
  follow: optional(flag),
  previous: optional(flag),
  tailLines: optional(count),
  sinceSeconds: optional(count),
  sinceTime: optional(text),
  timestamps: optional(flag),
  limitBytes: optional(count),
};

const opening = { sessionId: text, target: record(target), replyTo: refShape, credit: count };

/**
 * What the letters must look like: senders are machines of the cluster (their keys are known), of any version. What is
 * malformed goes no further.
 */
export const kubeletMessages: ShapesOf<KubeletMessage> = {
  KubeletLogs: { ...opening, options: record(options) },
  KubeletExec: { ...opening, command: listOf(text), stdin: flag, tty: flag },
  KubeletAttach: { ...opening, stdin: flag, tty: flag },
  KubeletPortForward: { ...opening, port: count },
  KubeletInput: { sessionId: text, bytes },
  KubeletInputEnd: { sessionId: text },
  KubeletResize: { sessionId: text, columns: count, rows: count },
  KubeletCredit: { sessionId: text, chunks: count },
  KubeletCancel: { sessionId: text },
};

const error = record({ status: count, reason: text, message: text });

export const kubeletReplies: ShapesOf<KubeletReply> = {
  KubeletStarted: { sessionId: text, credit: count },
  KubeletOutput: { sessionId: text, stream: oneOf('stdout', 'stderr'), bytes },
  KubeletInputCredit: { sessionId: text, chunks: count },
  KubeletEnded: { sessionId: text, exitCode: optional(whole), error: optional(error) },
};
