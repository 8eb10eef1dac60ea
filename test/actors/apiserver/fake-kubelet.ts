/** A kubelet that plays a container: `cat` echoes, `exit n` ends with n, logs are three lines. */
import type { KubeletMessage, KubeletReply } from '../../../actors/kubelet/messages.js';
import type { Actor, ChildSpec } from '../../../actors/runtime/index.js';

type Opening = Extract<KubeletMessage, { replyTo: unknown }>;

interface State {
  readonly sessions: Map<string, Opening>;
  readonly cancelled: string[];
}

export const fakeKubelet: ChildSpec<KubeletMessage> = {
  id: 'kubelet',
  start: () => kubelet as Actor<unknown, KubeletMessage>,
};

const kubelet: Actor<State, KubeletMessage> = {
  initial: () => ({ sessions: new Map(), cancelled: [] }),
  receive(state, message, ctx) {
    const { sessionId } = message;
    const opening = 'replyTo' in message ? message : state.sessions.get(sessionId);
    if (!opening) return state;
    const reply = (letter: KubeletReply) => ctx.tell<KubeletReply>(opening.replyTo, letter);
    const output = (stream: 'stdout' | 'stderr', text: string) =>
      reply({ type: 'KubeletOutput', sessionId, stream, bytes: Buffer.from(text) });
    const end = (exitCode?: number) => {
      reply({ type: 'KubeletEnded', sessionId, ...(exitCode !== undefined && { exitCode }) });
      state.sessions.delete(sessionId);
    };
    switch (message.type) {
      case 'KubeletLogs':
        if (message.options.previous) {
          const error = {
            status: 400,
            reason: 'BadRequest',
            message: 'previous terminated container not found',
          };
          reply({ type: 'KubeletEnded', sessionId, error });
          return state;
        }
        state.sessions.set(sessionId, message);
        reply({ type: 'KubeletStarted', sessionId, credit: 0 });
        for (const line of ['one\n', 'two\n', 'three\n']) output('stdout', line);
        end();
        break;
      case 'KubeletExec':
        state.sessions.set(sessionId, message);
        reply({ type: 'KubeletStarted', sessionId, credit: 8 });
        if (message.command[0] === 'exit') end(Number(message.command[1]));
        else output('stderr', 'ready\n');
        break;
      case 'KubeletPortForward':
        state.sessions.set(sessionId, message);
        reply({ type: 'KubeletStarted', sessionId, credit: 8 });
        break;
      case 'KubeletInput':
        output('stdout', Buffer.from(message.bytes).toString());
        reply({ type: 'KubeletInputCredit', sessionId, chunks: 1 });
        break;
      case 'KubeletInputEnd':
        end(0);
        break;
      case 'KubeletCancel':
        state.cancelled.push(sessionId);
        state.sessions.delete(sessionId);
        break;
      case 'KubeletAttach':
      case 'KubeletResize':
      case 'KubeletCredit':
        break;
      default:
        message satisfies never;
    }
    return state;
  },
};
