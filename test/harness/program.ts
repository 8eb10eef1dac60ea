/** Runs a program to its end and says everything about it; for tests that look at exit codes and at what was printed. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface Outcome {
  /** Exit code; null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Given to the program's standard input, which is empty otherwise. */
  readonly input?: string | Buffer;
  /** Default 60,000; the program is killed then, and the promise rejects. */
  readonly timeoutMs?: number;
}

/** Resolves for any exit code. */
export async function run(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Outcome> {
  const program = start(file, args, options);
  const outcome = await program.outcome;
  if (program.timedOut) {
    throw new Error(
      `${program.line} did not end within ${options.timeoutMs ?? timeoutMs} ms\n${textOf(outcome)}`,
    );
  }
  return outcome;
}

/** Resolves with what it printed when it ends with 0, rejects with all that it said otherwise. */
export async function output(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<string> {
  const outcome = await run(file, args, options);
  if (outcome.code === 0) return outcome.stdout;
  throw new Error(`${lineOf(file, args)} ended with ${outcome.signal ?? outcome.code}\n${textOf(outcome)}`);
}

export interface Program {
  readonly line: string;
  readonly process: ChildProcess;
  /** What it printed so far. */
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly outcome: Promise<Outcome>;
}

const timeoutMs = 60_000;

/** A program that goes on while the test does other things. */
export function start(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const child = spawn(file, args, { env: options.env ?? process.env, cwd: options.cwd, stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, options.timeoutMs ?? timeoutMs);
  const text = (chunks: readonly Buffer[]) => Buffer.concat(chunks).toString();
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: text(stdout), stderr: text(stderr) });
    });
  });
  // A program that does not read its input is not a failure.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return {
    line: lineOf(file, args),
    process: child,
    outcome,
    get stdout() {
      return text(stdout);
    },
    get stderr() {
      return text(stderr);
    },
    get timedOut() {
      return timedOut;
    },
  };
}

function lineOf(file: string, args: readonly string[]): string {
  return [file.slice(file.lastIndexOf('/') + 1), ...args].join(' ');
}

function textOf({ stdout, stderr }: Outcome): string {
  return [stderr.trim(), stdout.trim()].filter((text) => text !== '').join('\n');
}
