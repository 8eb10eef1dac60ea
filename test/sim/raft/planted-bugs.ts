/** Bugs on purpose. */
import type { MemberParts, MemberStorage } from '../../../actors/store/index.js';
import type { StoreGroup } from './store-group.js';

export interface PlantedBug {
  readonly name: string;
  /** Wraps what a member keeps on disk. */
  storage?(storage: MemberStorage): MemberStorage;
  /** At each start of a member. */
  member?(parts: MemberParts): void;
  /** After every event. */
  step?(group: StoreGroup): void;
}

export const plantedBugs: readonly PlantedBug[] = [];

export function bugNamed(name: string): PlantedBug | undefined {
  return plantedBugs.find((bug) => bug.name === name);
}
