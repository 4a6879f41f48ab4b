export { createTimelineRedo, type PageState, redoPage, redoValue } from './redo/redo-records.ts';
export { createValueRedo } from './redo/value-redo.ts';
