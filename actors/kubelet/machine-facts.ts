/** Edge: what this machine is, for the Node's status. */
import { readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, hostname, platform, release, totalmem } from 'node:os';
import type { NodeFacts } from './node-object.js';

export function machineFacts(dataDir: string): NodeFacts {
  const space = statfsSync(dataDir);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    storageBytes: space.blocks * space.bsize,
    hostname: hostname(),
    operatingSystem: platform() === 'win32' ? 'windows' : platform(),
    architecture: goArchitecture(arch()),
    kernelVersion: release(),
    osImage: osImage(),
    machineId: read('/etc/machine-id') ?? '',
    bootId: read('/proc/sys/kernel/random/boot_id') ?? '',
    isRoot: process.getuid?.() === 0,
  };
}

function goArchitecture(name: string): string {
  return { x64: 'amd64', ia32: '386' }[name] ?? name;
}

function osImage(): string {
  const line = read('/etc/os-release')
    ?.split('\n')
    .find((text) => text.startsWith('PRETTY_NAME='));
  return line?.slice('PRETTY_NAME='.length).replaceAll('"', '') ?? platform();
}

/** Undefined where there is no such file: another system than Linux. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
