import { main } from '../walredo/main.ts';

process.exitCode = main(process.argv.slice(2), import.meta.filename);
