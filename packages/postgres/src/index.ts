export { type Lsn, lsn } from './lsn.ts';
