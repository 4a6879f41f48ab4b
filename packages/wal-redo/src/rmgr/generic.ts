/** Resource manager 20, Generic (generic_xlog.c): differences of pages, for extensions' access methods such as bloom. */
import { copyBytes, fillBytes } from '../bytes.ts';
import { assertSaneHeader, pdLower, pdUpper } from '../page/header.ts';
import type { RedoContext, ResourceManager } from '../redo-context.ts';

export const generic: ResourceManager = {
  operations: { generic: 0x00 },
  operationMask: 0xf0,
  redo(context: RedoContext): void {
    const { page, data } = context;
    let at = 0;
    while (at < data.length) {
      const offset = data.u16(at);
      const length = data.u16(at + 2);
      copyBytes(page, offset, data.bytes, data.place(at + 4, length), length);
      at += 4 + length;
    }
    assertSaneHeader(page);
    fillBytes(page, 0, pdLower(page), pdUpper(page));
  },
};
