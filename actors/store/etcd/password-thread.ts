/** The thread on which passwords become hashes and are compared with them (passwords.ts): bcrypt takes its time on purpose. */
import { parentPort } from 'node:worker_threads';
import { compareSync, hashSync } from 'bcryptjs';

export type PasswordTask =
  | { readonly type: 'hash'; readonly password: string; readonly cost: number }
  | { readonly type: 'compare'; readonly password: string; readonly hash: string };

export type PasswordAnswer =
  | { readonly id: number; readonly result: string | boolean; readonly error?: undefined }
  | { readonly id: number; readonly result?: undefined; readonly error: string };

parentPort?.on('message', ({ id, task }: { readonly id: number; readonly task: PasswordTask }) => {
  parentPort?.postMessage(answered(id, task));
});

function answered(id: number, task: PasswordTask): PasswordAnswer {
  try {
    return { id, result: carryOut(task) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

function carryOut(task: PasswordTask): string | boolean {
  switch (task.type) {
    case 'hash':
      return hashSync(task.password, task.cost);
    case 'compare':
      return compareSync(task.password, task.hash);
    default:
      return task satisfies never;
  }
}
