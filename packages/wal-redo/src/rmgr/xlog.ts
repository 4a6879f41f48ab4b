/** Resource manager 0, XLOG (xlog.c): of its records only full-page images concern pages, and those the engine restores. */
import { XLOG_INFO } from '@neon-snapshot/postgres';
import { missingImage, type RedoContext, type ResourceManager, unsupportedRecord } from '../redo-context.ts';

export const xlog: ResourceManager = {
  operations: { fpi: XLOG_INFO.fullPageImage, fpiForHint: XLOG_INFO.fullPageImageForHint },
  operationMask: 0xf0,
  redo(context: RedoContext): void {
    switch (context.info & 0xf0) {
      case XLOG_INFO.fullPageImage:
        throw missingImage(context);
      case XLOG_INFO.fullPageImageForHint:
        // A hint bit that needed no image: nothing happened to the page.
        context.stampsLsn = false;
        return;
      default:
        throw unsupportedRecord(context);
    }
  },
};
