// needs: versitygw
// The second opinion: another store that keeps versions, which repeats rows where a page ends within a key.
import { afterAll, beforeAll, test } from '@jest/globals'
import { start } from '../components.ts'
import type { Running } from '../components.ts'
import { live } from './history.ts'
import { site } from './site.ts'
import type { Site } from './site.ts'

let versitygw: Running
let place: Site
beforeAll(async () => {
  versitygw = await start('versitygw')
  place = site()
}, 60_000)
afterAll(async () => {
  await place.remove()
  await versitygw.stop()
})

test('the same history makes the same versions', () => live(versitygw.url, place), 180_000)
