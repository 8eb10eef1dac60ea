/** Edge: manifests of static pods, one pod a file, from a folder of this machine. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { StaticManifest, StaticPodSource } from './static-pods.js';

const fileBytesMax = 1024 * 1024;

/**
 * Files `*.yaml`, `*.yml` and `*.json`; names that begin with a dot are left alone (editors, atomic
 * writes).
 */
export function staticPodFolder(folder: string): StaticPodSource {
  return {
    read: async () => {
      const names = (await readdir(folder)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
      return Promise.all(names.map((name) => readManifest(join(folder, name))));
    },
  };
}

async function readManifest(file: string): Promise<StaticManifest> {
  try {
    const text = await readFile(file, 'utf8');
    if (text.length > fileBytesMax) return { file, problem: `it is larger than ${fileBytesMax} bytes` };
    return { file, manifest: parse(text) as unknown };
  } catch (error) {
    return { file, problem: (error as Error).message };
  }
}
