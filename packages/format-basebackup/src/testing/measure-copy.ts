// Copies between a data directory and tars, and prints wall and CPU seconds and peak memory:
//   node --conditions=@neon-snapshot/source src/testing/measure-copy.ts pgdata|basebackup FROM pgdata|basebackup TO [compression]
import { createDirectory, makeScratch, openDirectory } from './scratch.ts';

const [fromFormat, from, toFormat, to, compression] = process.argv.slice(2);
if (!isFormat(fromFormat) || !isFormat(toFormat) || from === undefined || to === undefined)
  throw new Error('give FORMAT FROM FORMAT TO');
await using scratch = await makeScratch();
const startedAt = performance.now();
const before = process.cpuUsage();
const options = toFormat === 'basebackup' && compression !== undefined ? { compression } : {};
const result = await scratch.copy(
  { format: fromFormat, storage: await openDirectory(from) },
  { format: toFormat, storage: await createDirectory(to), options },
);
const { user, system } = process.cpuUsage(before);
console.log(
  `wall ${((performance.now() - startedAt) / 1000).toFixed(2)} s, CPU ${(user / 1e6).toFixed(2)} + ${(system / 1e6).toFixed(2)} s, RSS ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB, ${(result.bytesWritten / 1e6).toFixed(0)} MB stored`,
);

function isFormat(name: string | undefined): name is 'pgdata' | 'basebackup' {
  return name === 'pgdata' || name === 'basebackup';
}
