export {
  openStockRedo,
  STOCK_REDO_MAJORS,
  type StockReconstructedPages,
  type StockRedo,
  type StockRedoOptions,
} from './open-stock-redo.ts';
export type { HeapLayout, StockPageRecord, StockPageRequest } from './page-request.ts';
export {
  isStockRedoError,
  StockRedoError,
  type StockRedoErrorCode,
  type StockRedoErrorContext,
  type StockRedoErrorOptions,
} from './stock-redo-error.ts';
