import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe as group, afterAll, beforeAll, expect, test } from '@jest/globals'
import { environment, readConfig } from '../../src/config.ts'
import type { FilesAsked } from '../../src/config.ts'
import { loadConfig } from '../../src/config-load.ts'

const FILE = '/c.yaml'

/** The lines of the error, without the file's name; none when the text is taken. */
function mistakes(text: string): string[] {
  try {
    loadConfig(text, FILE, environment({}))
    return []
  } catch (error) {
    expect(error).toMatchObject({ name: 'VarveError', code: 'CONFIG_INVALID' })
    return (error as Error).message.split('\n').map((line) => line.slice(FILE.length + 1))
  }
}

/** `more` begins at line 6, column 5. */
function watching(more: string, location = 's3://my-bucket/data/'): string {
  return `watch:\n  - name: mnist\n    location: ${location}\n    artifact: vision/mnist\n    type: dataset\n${more.replace(/^(?=.)/gm, '    ')}\n`
}

test('all mistakes are told at once, each at its place, in the order of the text', () => {
  expect(mistakes(`dta: ./x
queue: redis//host
defaults: { settle: 5, maxwait: 2m }
watch:
  - name: a
    location: ftp://host/x
    artifact: mnist
    aliases: [latest]
    s3: { pathStyle: true }
  - name: a
    location: ./d
    artifact: v/m
    type: t
    events: { sqs: "http://127.0.0.1/q" }
    settle: 400d
    settle: 1s
  - artifact: local/v/m
    name: b
    type: t
    location: ./e
    s3:
`)).toEqual([
    '1:1: unknown key "dta"; did you mean `data`?',
    '2:8: `queue`: neither inline nor a URL that begins with redis://… or rediss://…',
    '3:21: `settle`: expected a duration with its unit; write 5s, 2m, 6h or 1d, 365d at the most',
    '3:24: unknown key "maxwait"; did you mean `max_wait`?',
    '5:5: `type` is missing here; add it',
    '6:15: `location`: the scheme of ftp://host/x is not supported; use s3://, gs://, https://, http:// or file://',
    '7:15: `artifact`: "mnist" is not an artifact\'s name; write project/name or entity/project/name',
    '8:15: the alias latest is given by Varve itself; choose another',
    '9:11: unknown key "pathStyle"; did you mean `path_style`?',
    '10:11: the watch at line 5 has the name "a", too; give each its own',
    '14:15: `sqs` is for s3:// locations; take it out',
    '16:5: this key stands here twice; take one out',
    '17:15: the watch at line 12 writes to local/v/m, too; one artifact has one watch',
    '21:5: `s3`: nothing follows; expected keys with values below it, each indented',
  ])
})

test('a bound of `defaults` that is too short is told there, and once; one that is wrong in itself is no second mistake', () => {
  const two = 'watch:\n  - { name: a, location: /a/, artifact: a/a, type: t }\n  - { name: b, location: /b/, artifact: a/b, type: t, settle: 1s }\n  - { name: c, location: /c/, artifact: a/c, type: t }\n'
  expect(mistakes(`defaults: { max_wait: 2s }\n${two}`)).toEqual(['1:23: `settle` (5s) is longer than its bound `max_wait` (2s)'])
  expect(mistakes(`defaults: { max_wait: 0s }\n${two}`)).toEqual([expect.stringContaining('1:23: `max_wait`: the duration is out of bounds')])
})

test('what is missing at one place is one line', () => {
  expect(mistakes('watch:\n  - {}\n')).toEqual(['2:5: `name`, `artifact`, `type`, `location` are missing here; add them'])
})

test('an unknown key is told beside what is missing at its place', () => {
  expect(mistakes('watch:\n  - nmae: x\n    location: /a/\n    artifact: a/b\n    type: t\n')).toEqual(['2:5: unknown key "nmae"; did you mean `name`?', '2:5: `name` is missing here; add it'])
  expect(mistakes('watch:\n  - nmae: x\n    location: /a/\n')).toEqual(['2:5: unknown key "nmae"; did you mean `name`?', '2:5: `name`, `artifact`, `type` are missing here; add them'])
  expect(mistakes('wtach: []\n')).toEqual(['1:1: unknown key "wtach"; did you mean `watch`?', '1:1: `watch` is missing here; add it'])
})

group('one mistake, one line', () => {
  test.each([
    ['settle: 5', '6:13: `settle`: expected a duration with its unit; write 5s'],
    ['settle: "5"', '6:13: `settle`: not a duration with its unit; write 5s'],
    ['settle: 0s', '6:13: `settle`: the duration is out of bounds'],
    ['settle: -5s', '6:13: `settle`: not a duration'],
    ['settle: 5m', '6:13: `settle` (5m) is longer than its bound `max_wait` (2m)'],
    ['max_wait: 1s', '6:15: `settle` (5s) is longer than its bound `max_wait` (1s)'],
    ['settle: 5 parsecs', '6:13: `settle`: not a duration'],
    ['settle: 0.1ms', '6:13: `settle`: the duration is out of bounds'],
    ['reconcile: 366d', '6:16: `reconcile`: the duration is out of bounds'],
    ['max_objects: 0', '6:18: `max_objects`: expected a whole number above 0'],
    ['max_objects: 1.5', '6:18: `max_objects`: expected a whole number above 0'],
    ['max_objects: many', '6:18: `max_objects`: expected a whole number above 0'],
    ['max_objects: "$${N}"', '6:18: `max_objects`: expected a whole number above 0'],
    ['guard: {max_removed: 50}', '6:26: `max_removed`: expected a percentage; write 50%'],
    ['guard: {max_removed: 101%}', '6:26: `max_removed`: not a percentage'],
    ['guard: {root_marker: ../x}', '6:26: `root_marker`: the path is relative to the location'],
    ['guard: {complete_marker: /x}', '6:30: `complete_marker`: the path is relative to the location'],
    ['guard: 50%', '6:12: `guard`: expected keys with values below it'],
    ['on_unreadable: ignore', '6:20: `on_unreadable`: expected fail or skip'],
    ['confirm: yes', '6:14: `confirm`: expected true or false'],
    ['include: "*.png"', '6:14: `include`: expected a list; write ["**/*.png"]'],
    ['include: [""]', '6:15: the glob is empty'],
    ['include: ["a\\0b"]', '6:15: the glob is empty or holds a NUL'],
    ['aliases: [v3]', '6:15: the alias v3 is given by Varve itself'],
    ['aliases: [""]', '6:15: an alias is empty'],
    ['aliases: ["a/b"]', '6:15: the alias "a/b" holds / or :'],
    ['events: {sqs: "http://u:pw@host/1/q"}', '6:19: `sqs`: the URL holds a user or password; take it out'],
    ['events: {sqs: "http://host/"}', '6:19: `sqs`: the URL names no queue'],
    ['events: {sqs: "http://host"}', '6:19: `sqs`: the URL names no queue'],
    ['s3: {endpoint: "http://h/?k=secret"}', '6:20: `endpoint`: the URL holds a query; take it out'],
    ['events: {sqs: mnist}', '6:19: `sqs`: not a URL that begins with https://… or http://…'],
    ['s3: {endpoint: "127.0.0.1:9000"}', '6:20: `endpoint`: not a URL'],
    ['s3: {endpoint: "http://u:pw@127.0.0.1:9000"}', '6:20: `endpoint`: the URL holds a user or password; take it out'],
    ['events: {webhook: {path: /hooks/../x, token_file: t}}', '6:30: `path`: not a path of its own'],
    ['events: {webhook: {path: /readyz, token_file: t}}', '6:30: `path`: not a path of its own'],
    ['maxObjects: 5', '6:5: unknown key "maxObjects"; did you mean `max_objects`?'],
    ['gsc: {}', '6:5: unknown key "gsc"; did you mean `gcs`?'],
    ['xy: {}', '6:5: unknown key "xy"; known here: name, location'],
    ['colour: red', '6:5: unknown key "colour"; known here: name, location'],
    ['? [a, b]\n: c', 'unknown key "[ a, b ]"'],
  ])('%s', (more, expected) => {
    const lines = mistakes(watching(more))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(expected)
  })

  test.each([
    ['~/data', '`location`: ~ is not expanded'],
    ['s3:/my-bucket/x', '`location`: a scheme is followed by two slashes; write s3://…'],
    ['s3://x', '`location`: s3://x names no valid bucket'],
    ['file://data/', '`location`: file://data/ is not a local file URI'],
    ['"a\\0b"', '`location`: the location "a\\u0000b" holds a NUL'],
    ['""', '`location`: the location is empty'],
    ['/', '`location`: the folder of Varve\'s own data, /.varve, lies in it'],
  ])('location: %s', (location, expected) => {
    expect(mistakes(watching('', location))).toEqual([expect.stringContaining(`3:15: ${expected}`)])
  })

  test.each([
    ['', '1:1: the file is empty; begin with watch:'],
    ['# nothing\n', '1:1: the file is empty'],
    ['hello', '1:1: expected keys with values below it'],
    ['- a', '1:1: expected keys with values below it'],
    ['data: ./x', '1:1: `watch` is missing here'],
    ['watch:', '1:1: `watch`: nothing follows; expected a list'],
    ['watch: []', '1:8: `watch`: nothing is watched; add a watch'],
    ['watch: [5]', '1:9: expected keys with values below it'],
    ['watch: {name: a}', '1:8: `watch`: expected a list'],
    ['watch: [\n a: {b: "\n', 'not valid YAML: Missing closing "quote'],
    ['watch:\n\t- name: a', '2:1: a tab indents this line'],
    ['watch: []\n---\nwatch: []', '2:1: a second document begins'],
    ['watch: *nowhere', '1:8: no anchor &nowhere stands before this'],
    ['watch: !!thing []', '1:8: not valid YAML: Unresolved tag'],
    ['['.repeat(100_000), 'the YAML is nested too deeply'],
  ])('%.20s', (text, expected) => {
    expect(mistakes(text)[0]).toContain(expected)
  })
})

test('a path that is posted to has one token, and somebody who listens', () => {
  const hooks = (...tokens: string[]): string => tokens.map((token, i) => `
  - name: w${i}
    location: s3://my-bucket/${i}/
    artifact: vision/a${i}
    type: dataset
    events: { webhook: { path: /hooks/one, token_file: ${token} } }`).join('')
  expect(mistakes(`watch:${hooks('a', './a', '/a')}`)).toEqual([])
  expect(mistakes(`watch:${hooks('a', 'b', 'a')}`)).toEqual(['11:56: `token_file`: the token of /hooks/one lies in another file at line 6; one path has one token'])
  expect(mistakes(`listen: off\nwatch:${hooks('a')}`)).toEqual(['7:15: `webhook`: nobody can post while `listen` is off; give `listen` an address, or take this out'])
})

test('the files of tokens and keys are read where that is asked for, and each mistake stands where the file is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'varve-config-'))
  const file = join(folder, 'varve.yaml')
  const read = (asked?: FilesAsked): Promise<string[]> => readConfig(file, environment({}), asked).then(() => [], (error: Error) => error.message.split('\n').map((line) => line.replaceAll(folder, '')))
  const watch = (name: string, key: string): string => `  - { name: ${name}, location: gs://b-1/${name}/, artifact: a/${name}, type: dataset, gcs: { credentials_file: ${key} } }`
  try {
    writeFileSync(join(folder, 'none.json'), 'very-secret')
    writeFileSync(join(folder, 'other.json'), '[]')
    writeFileSync(join(folder, 'key.json'), '{"type": "service_account"}')
    const hook = '  - { name: hook, location: s3://b-1/, artifact: a/hook, type: dataset, events: { webhook: { path: /h, token_file: token } } }'
    writeFileSync(file, ['watch:', hook, watch('gone', 'nowhere.json'), watch('none', 'none.json'), watch('folder', '.'), watch('other', 'other.json'), watch('well', 'key.json')].join('\n'))
    const token = '/varve.yaml:2:116: `token_file`: the token file /token cannot be read (ENOENT); write one into it, such as the output of: openssl rand -hex 32'
    const hint = '; correct gcs.credentials_file: it names a JSON file of gcloud or the Cloud console'
    expect(await read()).toEqual([])
    expect(await read('tokens')).toEqual([token])
    expect(await read('all')).toEqual([
      token,
      `/varve.yaml:3:103: \`credentials_file\`: the credentials file /nowhere.json cannot be read (ENOENT)${hint}`,
      `/varve.yaml:4:103: \`credentials_file\`: the credentials file /none.json holds no JSON${hint}`,
      `/varve.yaml:5:109: \`credentials_file\`: the credentials file  cannot be read (EISDIR)${hint}`,
      `/varve.yaml:6:106: \`credentials_file\`: the credentials file /other.json holds no credentials: they have a "type"${hint}`,
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a service account has the address of one', () => {
  const of = (account: string): string[] => mistakes(watching(`gcs: {impersonate: ${account}}`, 'gs://my-bucket/data/'))
  for (const account of ['reader@p-1.iam.gserviceaccount.com', '12-compute@developer.gserviceaccount.com']) expect(of(account)).toEqual([])
  for (const account of ['me@example.org', 'reader', 'a/b@p.iam.gserviceaccount.com', 'x@p.iam.gserviceaccount.com:y'])
    expect(of(account)).toEqual(['6:24: `impersonate`: not a service account; write name@project.iam.gserviceaccount.com'])
})

test('a database of Redis is a number', () => {
  const of = (url: string): string[] => mistakes(`queue: "${url}"\n${watching('')}`)
  for (const url of ['redis://host', 'redis://host/', 'redis://host:6379/0', 'rediss://u:p@host/15', 'redis://host?db=3']) expect(of(url)).toEqual([])
  for (const url of ['redis://host:6379/abc', 'redis://host/zero', 'rediss://host/0/1', 'redis://host/-1', 'redis://host/1.5', 'redis://host?db=abc'])
    expect(of(url)).toEqual(['1:8: `queue`: the database at the end of the URL is no number; write redis://host:6379/0'])
})

test('port 0 is for this machine alone', () => {
  for (const host of ['127.0.0.1', '127.1.2.3', '[::1]', 'localhost']) expect(mistakes(`listen: "${host}:0"\n${watching('')}`)).toEqual([])
  for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'example.org'])
    expect(mistakes(`listen: "${host}:0"\n${watching('')}`)).toEqual(['1:9: `listen`: port 0 is another port at each start, which other machines cannot know; write the port'])
})

test.each([
  ['http: {checksum: md5}', '6:22: `checksum`: expected content'],
  ['http: {max_bytes: 5GB}', '6:23: `max_bytes`: expected a whole number above 0'],
  ['http: {html: maybe}', '6:18: `html`: expected true or false'],
  ['guard: {root_marker: .id}', '6:13: `root_marker` is for other locations; take it out'],
  ['guard: {complete_marker: _SUCCESS}', '6:13: `complete_marker` is for other locations; take it out'],
  ['events: {sqs: "https://host/q"}', '6:14: `sqs` is for s3:// locations; take it out'],
])('of a web object: %s', (more, expected) => {
  expect(mistakes(watching(more, 'https://host/a.csv'))).toEqual([expect.stringContaining(expected)])
})

test.each([
  ['/mnt/a/', 'confirm: true', '6:5: `confirm` is for s3:// and gs:// locations; take it out'],
  ['https://host/a.csv', 'confirm: true', '6:5: `confirm` is for s3:// and gs:// locations; take it out'],
  ['gs://my-bucket/a/', 'clock_slack: 1s', '6:5: `clock_slack` is for file:// locations; take it out'],
  ['/mnt/a/', 's3: {region: eu-west-1}\ngcs: {endpoint: "http://127.0.0.1:1", impersonate: r@p.iam.gserviceaccount.com}', '6:5: `s3` is for s3:// locations; take it out\n7:5: `gcs` is for gs:// locations; take it out'],
  ['gs://my-bucket/a/', 'gcs: {endpoint: "http://127.0.0.1:4443", impersonate: r@p.iam.gserviceaccount.com, credentials_file: k}',
    '6:46: `impersonate` does nothing, since no credentials are shown to an `endpoint` over http://; take it out\n6:88: `credentials_file` does nothing, since no credentials are shown to an `endpoint` over http://; take it out'],
  ['gs://my-bucket/a/', 'gcs: {endpoint: "https://host", impersonate: r@p.iam.gserviceaccount.com}', ''],
  ['gs://my-bucket/a/', 'gcs: {endpoint: "http://host", impersonate: r@p.iam.gserviceaccount.com}\nevents: {pubsub: projects/p/subscriptions/s}', ''],
])('a key that would do nothing is a mistake: at %s %s', (location, more, expected) => {
  expect(mistakes(watching(more, location)).join('\n')).toBe(expected)
})

test('`at` of a lone location and the budget of an audit that is off would do nothing, too', () => {
  const text = (places: string): string => `audit: { every: off, requests_per_hour: 5 }\nwatch:\n  - { name: a, locations: [${places}], artifact: a/b, type: t }\n`
  const audit = '1:22: `requests_per_hour` does nothing while `every` is off; take one of the two out'
  expect(mistakes(text('{ location: /a/, at: x }, { location: /b/, at: y }'))).toEqual([audit])
  expect(mistakes(text('{ location: /a/, at: x }'))).toEqual([audit, '3:45: `at` is for several locations; add another, or take it out'])
})

test.each([
  ['an object of the web and a folder', 'http://host/a.csv', '', '/data/', 'a.csv'], ['a folder and an object of the web', '/data/', 'a.csv/b', 'http://host/a.csv', ''],
  ['two objects of the web', 'http://host/a.csv', '', 'http://host/b.csv', 'a.csv'], ['one name twice', 'http://host/a.csv', 'x', 'http://other/a.csv?b', 'x'],
])('a path that would be one thing here and another there is a mistake: %s', (_, first, firstAt, second, secondAt) => {
  const place = (location: string, at: string): string => `{ location: ${JSON.stringify(location)}${at === '' ? '' : `, at: ${at}`} }`
  const told = (...places: readonly string[]): string[] => mistakes(`watch:\n  - { name: a, artifact: a/b, type: t, locations: [${places.join(', ')}] }\n`)
  expect(told(place(first, firstAt), place(second, secondAt))).toEqual([expect.stringContaining('its paths would stand among those of the location at line 2; give each its own `at`')])
  expect(told(place(first, `one/${firstAt}`), place(second, `two/${secondAt}`))).toEqual([])
})

test('after a mistake in the syntax nothing is guessed, and nothing is repeated', () => {
  expect(mistakes('a: 1\na: 2\nqueue: "x" redis://:hunter2@host\nb: }\nc: [')).toEqual([
    '2:1: this key stands here twice; take one out', '3:12: not valid YAML: Unexpected scalar at node end',
  ])
})

test('a bomb of aliases is refused in no time', () => {
  const levels = 'bcdefghij'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghi'[i]}`).join(',')}]`)
  const started = performance.now()
  expect(mistakes(['a: &a [x,x,x,x,x,x,x,x,x]', ...levels].join('\n'))).toEqual([expect.stringContaining('Excessive alias count')])
  expect(performance.now() - started).toBeLessThan(2_000)
})

test('a value that loops through its own anchor is told, not followed', () => {
  expect(mistakes('watch: &w [*w]')).not.toEqual([])
})

test('a key that every object has is as unknown as any other', () => {
  expect(mistakes(watching('__proto__: {x: 1}'))).toEqual([expect.stringContaining('unknown key "__proto__"')])
  expect(mistakes(watching('constructor: 1'))).toEqual([expect.stringContaining('unknown key "constructor"')])
})

test('a mistake in one part of a name that a variable held repeats none of it', () => {
  const text = 'watch: [{ name: w, location: /data/, artifact: "${PW}", type: t }]'
  expect(() => loadConfig(text, FILE, environment({ PW: 'a/b/hunter:secret' }))).toThrow(expect.objectContaining({ message: expect.not.stringMatching(/hunter|secret/) }))
})

test.each(['hunter2secret', 'hunter"2\\secret'])('no mistake repeats what may be a secret: %s', (secret) => {
  const more = 's3: {endpoint: "u:${PW}@host", region: " ${PW}"}\nevents: {sqs: "x://${PW}"}\nsettle: ${PW}\naliases: ["a ${PW}"]'
  const text = `queue: "redis//:\${PW}@host"\n${watching(more, 's3://u:${PW}@b/c')}`
  const read = (): unknown => loadConfig(text, FILE, environment({ PW: secret }))
  expect(read).toThrow(expect.objectContaining({ message: expect.stringMatching(/^(.*\n){6}.*$/) }))
  expect(read).toThrow(expect.objectContaining({ message: expect.not.stringMatching(/hunter|secret/) }))
})

group('a file that cannot be read is one clear error', () => {
  let folder: string
  beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'varve-config-')) })
  afterAll(() => rmSync(folder, { recursive: true }))
  const refusal = (file: string): Promise<string> =>
    readConfig(file, environment({})).then(() => 'taken', (error: Error) => error.message.slice(file.length))

  test('missing, a folder, endless, not UTF-8', async () => {
    const latin1 = join(folder, 'latin1.yaml')
    writeFileSync(latin1, Buffer.from([0x61, 0x3a, 0x20, 0xe9]))
    expect(await refusal(join(folder, 'none.yaml'))).toBe(': there is no such file; name another with --config')
    expect(await refusal(folder)).toBe(': this is a folder; name the file in it')
    expect(await refusal('/dev/zero')).toBe(': more than 10 MB is no configuration; name another')
    expect(await refusal(latin1)).toBe(': this is not UTF-8 text; save it as UTF-8')
  })

  test('a byte order mark is no part of the text', async () => {
    const file = join(folder, 'bom.yaml')
    writeFileSync(file, `\uFEFF${watching('')}`)
    expect(await readConfig(file, environment({}))).toMatchObject({ file, dataFolder: join(folder, '.varve') })
  })
})
