import { describe as group, expect, test } from '@jest/globals'
import { environment } from '../../src/config.ts'
import type { Config } from '../../src/config.ts'
import { loadConfig } from '../../src/config-load.ts'

const FILE = '/etc/varve/config.yaml'

function load(text: string, variables: Record<string, string> = {}): Config {
  return loadConfig(text, FILE, environment(variables))
}

/** The lines of the error, without the file's name. */
function mistakes(text: string, variables: Record<string, string> = {}): string[] {
  try {
    load(text, variables)
  } catch (error) {
    expect(error).toMatchObject({ name: 'VarveError', code: 'CONFIG_INVALID' })
    const lines = (error as Error).message.split('\n')
    for (const line of lines) expect(line.startsWith(`${FILE}:`)).toBe(true)
    return lines.map((line) => line.slice(FILE.length + 1))
  }
  throw new Error('the configuration was taken')
}

/** One watch with `more` in it. Its first line is line 2; `more` begins at line 6. */
function watching(more = '', location = 's3://my-bucket/data/'): string {
  return `watch:\n  - name: mnist\n    location: ${location}\n    artifact: vision/mnist\n    type: dataset\n${more.replace(/^(?=.)/gm, '    ')}\n`
}

function watchOf(more = '', location?: string, variables?: Record<string, string>): Config['watches'][number] {
  return load(watching(more, location), variables).watches[0]!
}

group('what a configuration means', () => {
  test('a watch that says nothing else gets the defaults', () => {
    expect(load(watching())).toEqual({
      file: FILE, dataFolder: '/etc/varve/.varve', queue: 'inline', defaultEntity: 'local', listen: { host: '127.0.0.1', port: 7373, said: false },
      audit: { everyMs: 86_400_000, requestsPerHour: 2_000 },
      watches: [{
        name: 'mnist', locations: [{ scheme: 's3', bucket: 'my-bucket', prefix: 'data/' }],
        collection: { entity: 'local', project: 'vision', collection: 'mnist' }, type: 'dataset',
        aliases: [], include: [], exclude: [],
        settleMs: 5_000, maxWaitMs: 120_000, reconcileMs: 21_600_000, pollMs: 60_000, entriesMax: 10_000,
        guard: { removedShareMax: 0.5 }, onUnreadable: 'fail', confirm: false, clockSlackMs: 0, s3: {}, gcs: {}, http: {},
      }],
    })
  })

  test('a watch goes before defaults, and defaults before what is built in', () => {
    const text = `defaults: {settle: 1s, poll: 30s, max_objects: 7}\n${watching('settle: 2s\nmax_objects: 8')}`
    expect(load(text).watches[0]).toMatchObject({ settleMs: 2_000, pollMs: 30_000, entriesMax: 8, maxWaitMs: 120_000 })
  })

  test('relative paths are relative to the file', () => {
    expect(load(`data: ../var\n${watching('', 'data/set')}`)).toMatchObject({
      dataFolder: '/etc/var', watches: [{ locations: [{ scheme: 'file', prefix: '/etc/varve/data/set/', object: '/etc/varve/data/set' }] }],
    })
  })

  test('the entity of the file owns what names none', () => {
    expect(load(`entity: lab\n${watching()}`)).toMatchObject({ defaultEntity: 'lab', watches: [{ collection: { entity: 'lab' } }] })
  })

  test('the endpoint is the watch\'s, else the environment\'s, and part of the location', () => {
    const variables = { AWS_ENDPOINT_URL: 'http://127.0.0.1:5000/' }
    const place = { endpoint: 'http://127.0.0.1:5000' }
    expect(watchOf('', undefined, variables)).toMatchObject({ locations: [place], s3: place })
    const own = watchOf('s3: {endpoint: "http://127.0.0.1:9000/", path_style: true}', undefined, variables)
    expect(own).toMatchObject({ locations: [{ endpoint: 'http://127.0.0.1:9000' }], s3: { endpoint: 'http://127.0.0.1:9000', pathStyle: true } })
    expect(watchOf('', '/mnt/data/', variables).locations[0]).toEqual({ scheme: 'file', bucket: '', prefix: '/mnt/data/' })
  })

  test('each key of a watch arrives', () => {
    expect(watchOf(`
aliases: [staging, staging]
include: ["**/*.png"]
exclude: ["**/_tmp/**"]
events: {sqs: "https://sqs.eu-west-1.amazonaws.com/1/q"}
s3: {region: eu-west-1, profile: data}
guard: {max_removed: 12.5%, root_marker: .id, complete_marker: a/_SUCCESS}
on_unreadable: skip
confirm: true`)).toMatchObject({
      aliases: ['staging'], include: ['**/*.png'], exclude: ['**/_tmp/**'], events: { kind: 'sqs', url: 'https://sqs.eu-west-1.amazonaws.com/1/q' },
      s3: { region: 'eu-west-1', profile: 'data' }, guard: { removedShareMax: 0.125, rootMarker: '.id', completeMarker: 'a/_SUCCESS' },
      onUnreadable: 'skip', confirm: true,
    })
  })

  test.each([
    ['gs://b-1/x/', 'events: {pubsub: projects/p/subscriptions/s}\ngcs: {project: p, endpoint: "http://127.0.0.1:1/", credentials_file: key.json, impersonate: reader@p.iam.gserviceaccount.com}',
      { events: { kind: 'pubsub', subscription: 'projects/p/subscriptions/s' }, locations: [{ scheme: 'gs', endpoint: 'http://127.0.0.1:1' }], gcs: { project: 'p', endpoint: 'http://127.0.0.1:1', credentialsFile: '/etc/varve/key.json', impersonate: 'reader@p.iam.gserviceaccount.com' } }],
    ['s3://b-1/x/', 'events: {webhook: {path: /hooks/minio, token_file: token}}\ns3: {role: "arn:aws:iam::123456789012:role/reader"}',
      { events: { kind: 'webhook', path: '/hooks/minio', tokenFile: '/etc/varve/token' }, s3: { role: 'arn:aws:iam::123456789012:role/reader' } }],
    ['https://Host:8443/a%20b.csv?x=1', 'http: {checksum: content, allow_private: true, html: "true", max_bytes: 5000000000000}',
      { locations: [{ scheme: 'https', bucket: 'host:8443', object: '/a%20b.csv?x=1' }], http: { checksum: 'content', allowPrivate: true, html: true, bytesMax: 5e12 } }],
    ['/mnt/data/', 'clock_slack: 3s', { clockSlackMs: 3_000 }],
  ])('each key of %s arrives', (location, more, meant) => {
    expect(watchOf(more, location)).toMatchObject(meant)
  })

  test('a role is assumed where the environment says, else at the store, else at AWS', () => {
    const role = 'arn:aws:iam::123456789012:role/reader'
    const sts = (more: string, variables: Record<string, string> = {}): string | undefined => watchOf(`s3: {role: "${role}"${more}}`, undefined, variables).s3.stsEndpoint
    expect(sts(', endpoint: "http://127.0.0.1:9000/"', { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:5000' })).toBe('http://127.0.0.1:5000')
    expect(sts(', endpoint: "http://127.0.0.1:9000/"', { AWS_ENDPOINT_URL: 'http://127.0.0.1:5000' })).toBe('http://127.0.0.1:9000')
    expect(sts('', { AWS_ENDPOINT_URL: 'http://127.0.0.1:5000' })).toBe('http://127.0.0.1:5000')
    expect(sts('')).toBeUndefined()
    for (const ours of ['https://s3.eu-west-1.amazonaws.com', 'https://b.vpce-1a.s3.us-east-1.vpce.amazonaws.com', 'https://s3.cn-north-1.amazonaws.com.cn', 'https://s3.dualstack.us-east-1.api.aws'])
      expect([ours, sts(`, endpoint: "${ours}"`)]).toEqual([ours, undefined])
    expect(watchOf('', undefined, { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:5000' }).s3).toEqual({})
  })

  test('GCS is where the watch says, else where the emulator is', () => {
    expect(watchOf('', 'gs://b-1/x/', { STORAGE_EMULATOR_HOST: '127.0.0.1:4443' }).locations[0].endpoint).toBe('http://127.0.0.1:4443')
    expect(watchOf('', 's3://b-1/x/', { STORAGE_EMULATOR_HOST: '127.0.0.1:4443' }).locations[0].endpoint).toBeUndefined()
  })

  test('older versions are audited once a day, within 2,000 requests an hour, unless told otherwise or not to', () => {
    expect(load(`audit: {every: 6h}\n${watching()}`).audit).toEqual({ everyMs: 6 * 3_600_000, requestsPerHour: 2_000 })
    expect(load(`audit: {requests_per_hour: 100}\n${watching()}`).audit).toEqual({ everyMs: 86_400_000, requestsPerHour: 100 })
    expect(load(`audit: {every: off}\n${watching()}`).audit).toBeUndefined()
    expect(() => load(`audit: {every: often, requests_per_hour: 0}\n${watching()}`)).toThrow(/`every`: not a duration with its unit.*\n.*`requests_per_hour`: expected a whole number above 0/)
  })

  test('the daemon listens on loopback unless told where, or not to', () => {
    expect(load(watching()).listen).toEqual({ host: '127.0.0.1', port: 7373, said: false })
    expect(load(`listen: "[::1]:80"\n${watching()}`).listen).toEqual({ host: '::1', port: 80, said: true })
    expect(load(`listen: off\n${watching()}`).listen).toBeUndefined()
  })

  test('a queue may be Redis', () => {
    expect(load(`queue: rediss://:pw@host:6380/2\n${watching()}`).queue).toEqual({ url: 'rediss://:pw@host:6380/2' })
  })

  test.each([
    ['300ms', 300], ['5s', 5_000], ['1.5h', 5_400_000], ['2 days', 172_800_000], ['365d', 31_536_000_000],
  ])('%s is %d ms', (text, length) => {
    expect(watchOf(`reconcile: ${text}`).reconcileMs).toBe(length)
  })

  test('nothing of it can be changed', () => {
    const config = load(watching('include: ["*"]'))
    for (const part of [config, config.watches, config.watches[0], config.watches[0]!.guard, config.watches[0]!.include])
      expect(Object.isFrozen(part)).toBe(true)
  })

  test('a byte order mark aside, Windows line ends change nothing', () => {
    expect(load(watching('settle: 2s').replaceAll('\n', '\r\n'))).toEqual(load(watching('settle: 2s')))
  })

  test('an anchored list may be used again', () => {
    expect(watchOf('include: &globs ["*.x"]\nexclude: *globs')).toMatchObject({ include: ['*.x'], exclude: ['*.x'] })
  })
})

group('${VAR}', () => {
  test('is the variable, its default when unset or empty, and $$ a dollar', () => {
    const globs = 'include: ["${A}-${B:-b}-${C:-}-$$-$${A}-$x", "${E:-e}"]'
    expect(watchOf(globs, undefined, { A: 'a', E: '' }).include).toEqual(['a-b--$-${A}-$x', 'e'])
  })

  test('may be set and empty', () => {
    expect(watchOf('include: ["x${A}"]', undefined, { A: '' }).include).toEqual(['x'])
  })

  test('can stand for a number and a switch', () => {
    expect(watchOf('max_objects: ${N}\nconfirm: ${C:-true}', undefined, { N: '12' })).toMatchObject({ entriesMax: 12, confirm: true })
  })

  test('is never structure: a value that looks like YAML is text', () => {
    expect(watchOf('include: ["${A}"]', undefined, { A: '"]\nname: other # {' }).include).toEqual(['"]\nname: other # {'])
  })

  test('is not looked for in keys and comments, nor in what a variable held', () => {
    expect(watchOf('include: ["${A}"] # ${NOT}', undefined, { A: '${B}' }).include).toEqual(['${B}'])
    expect(mistakes(watching('${A}: 1'), { A: 'settle' })).toEqual([expect.stringContaining('unknown key "${A}"')])
  })

  test('must be set, and is told where it stands', () => {
    expect(mistakes(watching('include: ["a", "b${NOPE}"]\ntype: x'))).toEqual([
      '6:20: the variable NOPE is not set; set it, or write ${NOPE:-default}', expect.stringContaining('7:5: this key stands here twice'),
    ])
  })

  test.each(['${', '${}', '${1A}', '${A:?x}', '${A-b}', '${A'])('%s is no variable', (text) => {
    expect(mistakes(watching(`include: ['${text}']`), { A: 'a' })).toEqual([expect.stringMatching(/^6:15: a \$\{ begins no variable; write /)])
  })

  test('names no property that every object has', () => {
    expect(mistakes(watching('include: ["${constructor}"]'))).toEqual([expect.stringContaining('constructor is not set')])
  })
})
