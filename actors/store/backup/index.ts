export { BackupDesk, type BackupDeskOptions, type BackupSpool, type TakeOptions } from './backup-desk.js';
export type { BackupProgress } from './backup-file.js';
export { BackupSessions } from './backup-sessions.js';
export { BackupError, type BackupErrorCode } from './errors.js';
export { type BackupStatus, type ByteProgress, EtcdBackup, type OpenBackupOptions } from './etcd-backup.js';
export type { BackupOpened, BackupPiece } from './messages.js';
export { restoreBackup, type Restored, type RestoreOptions } from './restore.js';
