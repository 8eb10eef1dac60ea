/** The words of the golden scripts, and the trace they leave. */
import { strict as assert } from 'node:assert';
import { Cluster, text, type Node } from './cluster.js';
import {
  decodeConfiguration,
  memberId,
  type Configuration,
  type MemberStep,
  type Transition,
  type Entry,
  type MemberId,
  type Message,
  type Ready,
} from 'raft-consensus';

export class Script {
  #cluster: Cluster | null = null;
  #groups: string[][] | null = null;
  readonly #cut: (readonly [string, string])[] = [];
  #trace: string[] = [];
  /** Letters kept back by `hold`, to be brought by `release`. */
  #held: Message[] = [];
  #holds: { readonly type: string; readonly from: string } | null = null;

  run(command: string): string[] {
    this.#trace = [];
    const [verb, ...args] = command.split(/\s+/);
    this.#do(verb!, args);
    return this.#trace;
  }

  get #all(): Cluster {
    assert(this.#cluster !== null, 'a script begins with add-nodes');
    return this.#cluster;
  }

  #do(verb: string, args: readonly string[]): void {
    const [first = '', second = ''] = args;
    switch (verb) {
      case 'add-nodes':
        return this.#addNodes(args);
      case 'campaign':
        return this.#all.core(first).campaign();
      case 'elect':
        return this.#elect(first);
      case 'tick':
        return this.#all.tick(first, Number(second || 1));
      case 'propose':
        return this.#say(this.#all.propose(first, ...args.slice(1)));
      case 'read':
        return this.#all.core(first).readIndex(Number(second));
      case 'transfer':
        return this.#say(this.#all.core(first).transferLeadership(memberId(second)));
      case 'change':
        return this.#change(first, args.slice(1));
      case 'leave-joint':
        return this.#say(this.#all.core(first).changeConfiguration({ type: 'leave-joint' }));
      case 'members':
        return this.#members();
      case 'act':
        return this.#act(first);
      case 'deliver':
        return this.#deliver(first);
      case 'drop':
        return this.#drop();
      case 'stabilize':
        return this.#all.stabilize((message) => this.#passes(message));
      case 'partition':
        this.#groups = args
          .join(' ')
          .split('|')
          .map((group) => group.trim().split(' '));
        return;
      case 'cut':
        this.#cut.push([first, second]);
        return;
      case 'heal':
        this.#groups = null;
        this.#cut.length = 0;
        return;
      case 'hold':
        this.#holds = { type: first, from: second };
        return;
      case 'release':
        return this.#release();
      case 'slow-disk':
        this.#all.node(first).slowDisk = true;
        return;
      case 'finish-save':
        this.#all.node(first).slowDisk = false;
        return this.#all.finishSave(this.#all.node(first));
      case 'crash':
        return this.#all.crash(first);
      case 'restart':
        return this.#all.restart(first);
      case 'compact':
        return this.#all.compact(this.#all.node(first), Number(second || 0));
      case 'status':
        return this.#status();
      case 'log':
        return this.#log(first);
      default:
        assert.fail(`no such command: ${verb}`);
    }
  }

  /** `3 learners 1 spares 2`: names count up from 1; spares are nobody's members yet. */
  #addNodes(args: readonly string[]): void {
    const count = (word: string): number => (args.includes(word) ? Number(args[args.indexOf(word) + 1]) : 0);
    let named = 0;
    const names = (length: number): string[] => Array.from({ length }, () => String(++named));
    const voters = names(Number(args[0]));
    const learners = names(count('learners'));
    this.#cluster = new Cluster({ voters, learners, spares: names(count('spares')) });
    this.#cluster.listener = {
      ready: (node, ready) => this.#traceReady(node, ready),
      sent: (message) => this.#trace.push(`  ${showMessage(message)}`),
    };
  }

  /** A campaign that succeeds, without its trace: most scripts begin after it. */
  #elect(name: string): void {
    this.#all.elect(name);
    this.#trace = [`${name} leads in term ${this.#all.core(name).term}`];
  }

  /** `1 add-voter 4 remove 2 joint`: the steps, then how, if not as the steps need it. */
  #change(name: string, words: readonly string[]): void {
    const steps: MemberStep[] = [];
    for (let at = 0; at + 1 < words.length; at += 2) {
      const type = words[at] as 'add-voter' | 'add-learner' | 'remove';
      steps.push({ type, id: memberId(words[at + 1]!) });
    }
    const how = words.length % 2 === 1 ? { transition: words.at(-1) as Transition } : {};
    this.#say(this.#all.core(name).changeConfiguration({ type: 'steps', steps, ...how }));
  }

  #members(): void {
    for (const { id, core, up } of this.#all.nodes.values()) {
      if (up) this.#trace.push(`${id}: ${showConfiguration(core.configuration)}`);
    }
  }

  #act(name: string): void {
    while (this.#all.act(this.#all.node(name)));
  }

  #deliver(name: string): void {
    const letters = this.#all.network;
    this.#all.network = letters.filter((message) => message.to !== name);
    for (const message of letters)
      if (message.to === name && this.#passes(message)) this.#all.deliver(message);
  }

  #drop(): void {
    for (const message of this.#all.network) this.#trace.push(`lost ${showMessage(message)}`);
    this.#all.network = [];
  }

  #release(): void {
    this.#holds = null;
    this.#all.network.push(...this.#held);
    this.#held = [];
  }

  #passes(message: Message): boolean {
    if (this.#holds !== null && this.#holds.type === message.type && this.#holds.from === message.from) {
      this.#held.push(message);
      this.#trace.push(`held ${showMessage(message)}`);
      return false;
    }
    const side = (id: MemberId): number => this.#groups?.findIndex((group) => group.includes(id)) ?? 0;
    const cut = this.#cut.some((pair) => pair.includes(message.from) && pair.includes(message.to));
    if (!cut && side(message.from) === side(message.to)) return true;
    this.#trace.push(`cut ${showMessage(message)}`);
    return false;
  }

  #traceReady(node: Node, ready: Ready): void {
    const { softState, persist, committed, readStates, droppedReads } = ready;
    this.#trace.push(`${node.id}:`);
    if (softState !== null) {
      this.#trace.push(
        `  ${softState.role} in term ${softState.term}, leader ${softState.leader ?? 'unknown'}`,
      );
    }
    for (const state of readStates)
      this.#trace.push(`  read ${state.context} may be served at ${state.index}`);
    for (const context of droppedReads) this.#trace.push(`  read ${context} is refused`);
    if (persist !== null) {
      const parts: string[] = [];
      if (persist.hardState !== null) {
        const { term, votedFor, commit } = persist.hardState;
        parts.push(`term ${term} vote ${votedFor ?? 'none'} commit ${commit}`);
      }
      if (persist.snapshot !== null) parts.push(`snapshot ${persist.snapshot.meta.index}`);
      if (persist.truncateFrom !== null) parts.push(`cut from ${persist.truncateFrom}`);
      if (persist.entries.length > 0) parts.push(`entries ${persist.entries.map(showEntry).join(' ')}`);
      this.#trace.push(`  saves ${parts.join(', ')}${persist.mustSync ? '' : ' (no sync)'}`);
    }
    if (committed.length > 0) this.#trace.push(`  applies ${committed.map(showEntry).join(' ')}`);
  }

  #status(): void {
    for (const { id, core, up } of this.#all.nodes.values()) {
      const { lastIndex, lastTerm } = core.log;
      const state = `${core.role} term ${core.term} commit ${core.commit} last ${lastIndex}/${lastTerm}`;
      this.#trace.push(`${id}: ${up ? state : 'down'}`);
      for (const [peer, { match, next, state: how }] of core.leader?.peers ?? []) {
        this.#trace.push(`  ${peer}: ${how} match ${match} next ${next}`);
      }
    }
  }

  #log(name: string): void {
    const { log } = this.#all.core(name);
    const entries = log.entries(log.firstIndex, log.lastIndex + 1, Infinity);
    this.#trace.push(entries.length === 0 ? 'empty' : entries.map(showEntry).join(' '));
  }

  #say(
    answer:
      | string
      | {
          readonly type: string;
          readonly reason?: string;
          readonly firstIndex?: number;
          readonly why?: string;
        },
  ): void {
    if (typeof answer === 'string') this.#trace.push(answer);
    else
      this.#trace.push(
        answer.type === 'accepted'
          ? `accepted at ${answer.firstIndex}`
          : `${answer.type}: ${answer.why ?? answer.reason}`,
      );
  }
}

function showEntry({ index, term, type, data }: Entry): string {
  if (type === 'normal') return `${index}/${term}"${text(data)}"`;
  if (type === 'noop') return `${index}/${term}(noop)`;
  return `${index}/${term}(${showConfiguration(decodeConfiguration(data)!)})`;
}

function showConfiguration(configuration: Configuration): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration;
  const outgoing = votersOutgoing && `&& ${votersOutgoing.join(' ')}`;
  const parts = [
    `voters ${voters.join(' ') || 'none'}`,
    outgoing,
    learners.length > 0 && `learners ${learners.join(' ')}`,
    learnersNext && `learners next ${learnersNext.join(' ')}`,
    autoLeave === false && 'until told',
  ];
  return parts.filter(Boolean).join(' ');
}

function showMessage(message: Message): string {
  return `${message.from}->${message.to} ${message.type} term ${message.term}${showDetails(message)}`;
}

function showDetails(message: Message): string {
  switch (message.type) {
    case 'vote':
    case 'pre-vote': {
      const last = `${message.lastIndex}/${message.lastTerm}`;
      return ` last ${last}${message.reason === 'transfer' ? ' (transfer)' : ''}`;
    }
    case 'vote-reply':
    case 'pre-vote-reply':
      return message.granted ? ' granted' : ' refused';
    case 'append': {
      const entries = message.entries.map(showEntry).join(' ');
      const after = `${message.prevIndex}/${message.prevTerm}`;
      return ` after ${after} commit ${message.commit}${entries && ` [${entries}]`}`;
    }
    case 'append-accepted':
      return ` up to ${message.index}`;
    case 'append-rejected':
      return ` at ${message.index}, try ${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return ` commit ${message.commit}${message.readRound > 0 ? ` read round ${message.readRound}` : ''}`;
    case 'commit':
      return ` ${message.commit}`;
    case 'heartbeat-reply':
      return message.readRound > 0 ? ` read round ${message.readRound}` : '';
    case 'snapshot':
      return ` at ${message.meta.index}/${message.meta.term}`;
    case 'read-index':
      return ` read ${message.context}`;
    case 'read-index-reply':
      return ` read ${message.context} index ${message.index}`;
    case 'transfer-leadership':
      return ` to ${message.target}`;
    case 'timeout-now':
      return '';
    default:
      message satisfies never;
      return '';
  }
}
