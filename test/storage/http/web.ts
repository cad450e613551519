// One web object, looked at as the daemon does: each look is that of a process that has just started.
import { parseLocation } from '../../../src/model/location.ts'
import type { EntryView, VersionView } from '../../../src/model/version.ts'
import type { Watch } from '../../../src/model/watch.ts'
import type { Bounds } from '../../../src/storage/http/config.ts'
import { openHttpStore } from '../../../src/storage/http/store.ts'
import type { Store } from '../../../src/storage/storage.ts'
import { siteOf } from '../../laws/site.ts'
import type { Site } from '../../laws/site.ts'
import { entriesOf, versionsOf } from '../../laws/world.ts'

/** A watch of the object at `url`. */
export function webSite(url: string, http: Watch['http'] = {}, bounds: Partial<Bounds> = {}): Promise<Site> {
  return siteOf({ locations: [parseLocation(url, '/')], http }, (watch, memo) => openHttpStore(watch.locations[0], watch.http, memo, bounds), undefined, 0)
}

export function openWeb(url: string, http: Watch['http'] = {}, bounds: Partial<Bounds> = {}, memo?: string): Promise<Store> {
  return openHttpStore(parseLocation(url, '/'), http, memo, bounds)
}

/** The only entry of the newest version. */
export async function entryOf(site: Site): Promise<EntryView> {
  const [entry, more] = await entriesOf(site.registry)
  if (entry === undefined || more !== undefined) throw new Error('not one entry')
  return entry
}

export async function newest(site: Site): Promise<VersionView> {
  return (await versionsOf(site.registry)).at(-1) as VersionView
}

/** Requests of the last look that was recorded or found nothing new. */
export async function requestsOf(site: Site): Promise<number | undefined> {
  const row = await site.registry.watchRow(site.watch.name)
  return row?.lastLook?.requests
}
