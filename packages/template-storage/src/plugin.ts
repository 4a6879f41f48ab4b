import { type StoragePlugin, withPrefix } from '@neon-snapshot/storage-core';

/** The storage `template://CONTAINER/PREFIX`. */
export const plugin: StoragePlugin = {
  kind: 'storage',
  name: 'template',
  schemes: ['template'],
  // Describe here what the environment has to say: endpoint, credentials (`secret: true`).
  settings: [],
  async open({ authority, path, url }, { access }) {
    const [{ connect }, { TemplateStorage }] = await Promise.all([
      import('./object-client.ts'),
      import('./template-storage.ts'),
    ]);
    const storage = new TemplateStorage({ client: connect(authority), url, isWritable: access === 'write' });
    return path === '' ? storage : withPrefix(storage, { prefix: path });
  },
};
