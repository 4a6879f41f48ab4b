export { describeFormat } from './format-kit.ts';
export { describeFormatMatrix } from './format-matrix.ts';
export type { FormatKitOptions } from './kit-options.ts';
export { createModelSnapshot, type ModelSnapshot, type ModelSnapshotOptions } from './model-snapshot.ts';
