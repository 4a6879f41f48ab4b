/** What differs at one provider from the defaults for custom endpoints. Explicit settings win over all of it. */
export interface ProviderQuirks {
  readonly pathStyle?: boolean;
  readonly signPayload?: boolean;
  readonly concurrency?: number;
  readonly conditionalPut?: boolean;
}

// Sources: the providers' own documentation and the compatibility notes that Litestream and Barman keep.
const PROVIDERS: readonly { readonly hosts: readonly string[]; readonly quirks: ProviderQuirks }[] = [
  // Cloudflare R2: signed bodies, few parallel parts.
  { hosts: ['r2.cloudflarestorage.com'], quirks: { signPayload: true, concurrency: 2 } },
  { hosts: ['backblazeb2.com'], quirks: { signPayload: true, conditionalPut: false } },
  { hosts: ['digitaloceanspaces.com', 'aliyuncs.com'], quirks: { pathStyle: false } },
  // Hetzner and Supabase answer InvalidArgument to unsigned bodies.
  { hosts: ['your-objectstorage.com', 'supabase.co'], quirks: { signPayload: true } },
  // The XML API of Google Cloud Storage has its own generation headers instead of If-Match.
  { hosts: ['storage.googleapis.com'], quirks: { conditionalPut: false } },
];

/** Quirks of the provider behind an endpoint's host name; none for an unknown one. */
export function providerQuirks(host: string): ProviderQuirks {
  const known = PROVIDERS.find(({ hosts }) =>
    hosts.some((suffix) => host === suffix || host.endsWith(`.${suffix}`)),
  );
  return known?.quirks ?? {};
}
