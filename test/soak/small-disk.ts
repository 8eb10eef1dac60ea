/** A disk that is easily filled: a tmpfs over a folder, and a ballast file that decides how much room is left. Needs root. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { output } from '../harness/program.js';

/** On top of what is in the folder already: after a start values lie in files and in the last snapshot, until the next one. */
const defaultMiB = 256;

export const canMount = process.getuid?.() === 0;

export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** In the place of a folder, with what is in it. */
  static async over(folder: string, diskMiB = defaultMiB): Promise<SmallDisk> {
    const aside = mkdtempSync(`${folder}-aside-`);
    cpSync(folder, aside, { recursive: true });
    const held = Number((await output('du', ['--summarize', '--block-size=1M', folder])).split('\t')[0]);
    await output('mount', ['-t', 'tmpfs', '-o', `size=${held + diskMiB}m,mode=700`, 'tmpfs', folder]);
    try {
      cpSync(aside, folder, { recursive: true });
    } catch (error) {
      // What it had lies below, untouched.
      await output('umount', [folder]);
      throw error;
    } finally {
      rmSync(aside, { recursive: true });
    }
    return new SmallDisk(folder);
  }

  /** Takes all room but `roomKiB`, or all that is left if the store was faster. */
  async fill(roomKiB: number): Promise<void> {
    const lines = (await output('df', ['--output=avail', '--block-size=1K', this.folder])).trim().split('\n');
    const bytes = (Number(lines.at(-1)) - roomKiB) * 1024;
    try {
      writeFileSync(this.#ballast, Buffer.alloc(Math.max(0, bytes)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  makeRoom(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** The folder is itself again, with all that is new in it. */
  async remove(): Promise<void> {
    this.makeRoom();
    const kept = mkdtempSync(`${this.folder}-kept-`);
    cpSync(this.folder, kept, { recursive: true });
    await output('umount', [this.folder]);
    rmSync(this.folder, { recursive: true });
    cpSync(kept, this.folder, { recursive: true });
    rmSync(kept, { recursive: true });
  }

  get #ballast(): string {
    return join(this.folder, 'ballast');
  }
}
