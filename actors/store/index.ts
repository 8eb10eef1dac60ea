export {
  BackupDesk,
  type BackupDeskOptions,
  BackupError,
  type BackupErrorCode,
  type BackupProgress,
  type BackupSpool,
  type BackupStatus,
  type ByteProgress,
  EtcdBackup,
  restoreBackup,
  type Restored,
  type TakeOptions,
} from './backup/index.js';
export { createStoreClient, type StoreClientOptions } from './actor-store-client.js';
export type { CallerStore, GuardedStoreClient, Need } from './caller-store.js';
export {
  type ApiStore,
  type HashOfMember,
  type LeaseKeptAlive,
  type LeaseTimeToLive,
  type StoreClient,
  StoreError,
  type StoreErrorCode,
  type StoreHealth,
  type StoreMemberInfo,
  type StoreStatus,
  type StoreWatch,
  type WatchEnd,
  type WatchHandler,
} from './client.js';
export { decodeCause, encodeCause } from './context.js';
export { type MemberStorage, openDiskStorage } from './disk-storage.js';
export { claimMember, type ClaimedMember, type MemberClaim } from './member-claim.js';
export { storeLetterKinds } from './letter-kinds.js';
export { wrongTitle } from './member-title.js';
export { isUrl, type MemberAddress, type MemberChange, writeAddress } from './member-address.js';
export type { StorePeer } from './membership.js';
export { type StoreLimits, storeLimits } from './limits.js';
export { limitsOf, type StoreSettings } from './settings.js';
export { storeMember } from './member.js';
export type { MemberParts, StoreMemberOptions } from './member-options.js';
export type { StoreMessage, StoreReply } from './messages.js';
