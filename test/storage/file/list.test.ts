import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { afterEach, expect, jest, test } from '@jest/globals'
import { percented } from '../../../src/storage/file/pack.ts'
import { asNobody } from './nobody.ts'
import { fell, going, later, pass, tree, using } from './tree.ts'

afterEach(fell)
jest.setTimeout(30_000)

test('a pass meets every file once, and only its last span has the end', async () => {
  const files = Object.fromEntries(Array.from({ length: 700 }, (_, index) => [`d${index % 300}/e${index % 7}/f${index}`, `${index}`]))
  const root = tree({ ...files, top: 'x' })
  const { spans, entries, end } = await using(root, (store) => pass(store))
  expect(entries.map(({ path }) => path)).toEqual([...Object.keys(files), 'top'].sort())
  expect(spans.filter((span) => span.end !== undefined)).toEqual([spans.at(-1)])
  expect(end).toEqual({ requests: 0, notes: [], lone: [] })
  expect(spans.reduce((sum, span) => sum + span.seen, 0)).toBe(701)
  const directories = spans.map((span) => ('directory' in span.cover ? span.cover.directory : undefined))
  expect(new Set(directories).size).toBe(directories.length)
})

test('an empty folder is a span with an end, not nothing', async () => {
  const { spans } = await using(tree(), (store) => pass(store))
  expect(spans).toHaveLength(1)
  expect(spans[0]).toMatchObject({ cover: { directory: '' }, seen: 0, skipped: [], settled: true, end: { lone: [] } })
})

test('entries stand in the order of their UTF-8 bytes', async () => {
  const names = ['b', 'a', 'ä', '\u{1f600}', '\uffee', 'a b', 'a!', 'B', '~']
  const root = tree(Object.fromEntries(names.map((name) => [name, ''])))
  const { spans } = await using(root, (store) => pass(store))
  const byBytes = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect([...(spans[0]?.entries() ?? [])].map(({ path }) => path)).toEqual(byBytes)
})

test('names are recorded exactly, however odd', async () => {
  const names = ['new\nline', '#hash', '100%', 'a%20b', 'a b ', ' lead', 'q?', 'plus+', 'emoji \u{1f9ea}', 'back\\slash', '"quote"', 'repl\ufffdaced', '*', '__proto__', '.hidden']
  const root = tree(Object.fromEntries(names.map((name) => [`in ${name}/${name}`, name])))
  const { entries, skipped } = await using(root, (store) => pass(store))
  expect(entries.map(({ path }) => path).sort()).toEqual(names.map((name) => `in ${name}/${name}`).sort())
  expect(skipped).toEqual([])
})

test('a name that is not UTF-8 makes no entry, and is named with its bytes', async () => {
  const root = tree({ 'd/fine': 'x', 'd/\ufffd': 'y' })
  writeFileSync(Buffer.concat([Buffer.from(`${root}d/caf`), Buffer.from([0xe9]), Buffer.from('-ü')]), 'latin1')
  mkdirSync(Buffer.concat([Buffer.from(`${root}d/`), Buffer.from([0xff, 0xfe])]))
  const { entries, skipped } = await using(root, (store) => pass(store))
  expect(entries.map(({ path }) => path)).toEqual(['d/fine', 'd/\ufffd'])
  expect(skipped).toEqual([{ path: 'd/%FF%FE', reason: 'not-utf8' }, { path: 'd/caf%E9-ü', reason: 'not-utf8' }])
  expect(percented(Buffer.from([0x61, 0xc3, 0x61, 0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f]))).toBe('a%C3a\u{1f600}%F0%9F')
})

test('what is no regular file is skipped by its kind, and never opened', async () => {
  const root = tree({ file: 'x', 'dir/inner': 'y' })
  execFileSync('mkfifo', [`${root}fifo`])
  execFileSync('mknod', [`${root}null`, 'c', '1', '3'])
  symlinkSync('nowhere', `${root}dangling`)
  symlinkSync('loop-b', `${root}loop-a`)
  symlinkSync('loop-a', `${root}loop-b`)
  symlinkSync('dir', `${root}to-dir`)
  symlinkSync('..', `${root}dir/up`)
  symlinkSync('fifo', `${root}to-fifo`)
  symlinkSync('file', `${root}to-file`)
  symlinkSync('file/below', `${root}below-file`)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${root}socket`, resolve))
  const { entries, skipped, spans } = await using(root, (store) => pass(store))
  await new Promise((resolve) => server.close(resolve))
  expect(entries.map(({ path }) => path)).toEqual(['dir/inner', 'file', 'to-file'])
  expect(Object.fromEntries(skipped.map(({ path, reason }) => [path, reason]))).toEqual({
    fifo: 'fifo', null: 'device', dangling: 'dangling-symlink', 'loop-a': 'loop', 'loop-b': 'loop', 'to-dir': 'symlink-directory',
    'dir/up': 'symlink-directory', 'to-fifo': 'fifo', socket: 'socket', 'below-file': 'dangling-symlink',
  })
  expect(spans.reduce((sum, span) => sum + span.seen, 0)).toBe(13)
})

test('a symbolic link to a file is listed with the size and the fingerprint of its target', async () => {
  const elsewhere = tree({ target: 'twelve bytes' })
  const root = tree()
  symlinkSync(`${elsewhere}target`, `${root}link`)
  await using(root, async (store) => {
    const before = await pass(store)
    expect(before.entries).toMatchObject([{ path: 'link', sizeBytes: 12 }])
    writeFileSync(`${elsewhere}target`, 'TWELVE BYTES')
    const after = await pass(store)
    expect(after.entries[0]?.fingerprint).not.toBe(before.entries[0]?.fingerprint)
    expect(after.stamps['']).not.toBe(before.stamps[''])
  })
})

test('what file servers leave about is left out, and named', async () => {
  const root = tree({ 'lost+found/a': '', '.snapshot/daily/b': '', 'd/.nfs0001': '', 'd/.zfs/c': '', 'd/.nfsish': '', 'd/kept.nfs': '' })
  const { entries, skipped } = await using(root, (store) => pass(store))
  expect(entries.map(({ path }) => path)).toEqual(['d/kept.nfs'])
  expect(skipped.map(({ path, reason }) => `${path} ${reason}`)).toEqual([
    '.snapshot left-out', 'd/.nfs0001 left-out', 'd/.nfsish left-out', 'd/.zfs left-out', 'lost+found left-out',
  ])
})

test('a location may lie within what would be left out below it', async () => {
  const root = tree({ '.snapshot/daily/b': '' })
  const { entries } = await using(`${root}.snapshot/`, (store) => pass(store))
  expect(entries.map(({ path }) => path)).toEqual(['daily/b'])
})

test('the stamp of a directory moves with any of its children, and with nothing else', async () => {
  const root = tree({ 'a/one': '1', 'a/two': '2', 'a/sub/deep': '3', 'b/other': '4' })
  await using(root, async (store) => {
    let last = (await pass(store)).stamps
    const moved = async (): Promise<readonly string[]> => {
      const before = last
      last = (await pass(store)).stamps
      return Object.keys({ ...before, ...last }).filter((directory) => before[directory] !== last[directory]).sort()
    }
    expect(await moved()).toEqual([])
    writeFileSync(`${root}a/one`, 'X')
    expect(await moved()).toEqual(['a/'])
    writeFileSync(`${root}a/sub/deep`, 'Y')
    expect(await moved()).toEqual(['a/sub/'])
    renameSync(`${root}a/two`, `${root}a/three`)
    expect(await moved()).toEqual(['a/'])
    utimesSync(`${root}b/other`, 1, 1)
    expect(await moved()).toEqual(['b/'])
    chmodSync(`${root}b/other`, 0o600)
    expect(await moved()).toEqual(['b/'])
    symlinkSync('nowhere', `${root}b/link`)
    expect(await moved()).toEqual(['b/'])
    mkdirSync(`${root}b/new`)
    expect(await moved()).toEqual(['b/', 'b/new/'])
    rmSync(`${root}a/sub`, { recursive: true })
    expect(await moved()).toEqual(['a/', 'a/sub/'])
    rmSync(`${root}b/new`, { recursive: true })
    writeFileSync(`${root}b/new`, '')
    expect(await moved()).toEqual(['b/', 'b/new/'])
  })
})

test('a file younger than the guard, or of the future, has no fingerprint, and its directory is not settled', async () => {
  const root = tree({ 'old/file': 'x', 'young/file': 'y', 'future/file': 'z' })
  utimesSync(`${root}future/file`, Date.now() / 1000 + 1e6, Date.now() / 1000 + 1e6)
  await using(root, async (store) => {
    const racy = async (startMs: number): Promise<readonly string[]> => {
      const { spans, entries } = await pass(store, startMs)
      const unsettled = spans.filter((span) => !span.settled).flatMap((span) => ('directory' in span.cover ? [span.cover.directory] : []))
      expect(entries.filter(({ fingerprint }) => fingerprint === undefined).map(({ path }) => path.replace('file', '')).sort()).toEqual([...unsettled].sort())
      return [...unsettled].sort()
    }
    expect(await racy(Date.now() + 1_000)).toEqual(['future/', 'old/', 'young/'])
    expect(await racy(Date.now() + 60_000)).toEqual(['future/'])
  })
})

test('fingerprints and stamps do not depend on when the look started', async () => {
  const root = tree({ file: 'x' })
  await using(root, async (store) => {
    const [young, old] = [await pass(store, Date.now()), await pass(store, later())]
    expect(young.stamps).toEqual(old.stamps)
    expect((await pass(store, later() + 5_000)).entries).toEqual(old.entries)
  })
})

test('a directory that vanishes during the walk is no span; what remains is whole', async () => {
  const files = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`d${index}/f`, '']))
  const root = tree(files)
  await using(root, async (store) => {
    const directories: string[] = []
    for await (const span of store.scan(later(), going)) {
      if (directories.length === 1) rmSync(`${root}d0`, { recursive: true })
      if ('directory' in span.cover) directories.push(span.cover.directory)
    }
    expect(directories.length).toBeGreaterThanOrEqual(3_000)
  })
})

test('a path too long for the system is named, not a crash', async () => {
  const root = tree({ fine: '' })
  // Longer than PATH_MAX (4096) in all: only a process that steps down can make it.
  const script = 'import os,sys\nos.chdir(sys.argv[1])\nfor i in range(30):\n os.mkdir("n"*200)\n os.chdir("n"*200)\n open("f","w").close()'
  execFileSync('python3', ['-c', script, root])
  const { entries, skipped } = await using(root, (store) => pass(store))
  expect(entries.length).toBeGreaterThan(15)
  expect(skipped).toHaveLength(1)
  expect(skipped[0]?.reason).toBe('too-long')
  execFileSync('rm', ['-rf', root])
})

test('a folder that may not be listed or searched is named; the rest is walked', async () => {
  const root = tree({ 'closed/a': '', 'unlisted/b': '', 'unsearched/c': '', 'open/d': '', 'open/secret': '' })
  chmodSync(`${root}closed`, 0o000)
  chmodSync(`${root}unlisted`, 0o311)
  chmodSync(`${root}unsearched`, 0o644)
  chmodSync(root, 0o755)
  const seen = asNobody(root, 'scan')
  expect(seen).toEqual({
    entries: ['open/d', 'open/secret'],
    skipped: ['closed/ unreadable-directory', 'unlisted/ unreadable-directory', 'unsearched/ unreadable-directory'],
    unstamped: ['closed/', 'unlisted/', 'unsearched/'],
  })
})

test('a root that is not there, is no folder, or may not be listed, is an error and not an empty pass', async () => {
  const root = tree({ file: '' })
  await using(`${root}gone/`, (store) => expect(pass(store)).rejects.toMatchObject({ code: 'LOCATION_MISSING' }))
  await using(`${root}file/`, (store) => expect(pass(store)).rejects.toMatchObject({ code: 'LOCATION_MISSING' }))
  await using(`${root}gone`, (store) => expect(pass(store)).rejects.toMatchObject({ code: 'LOCATION_MISSING' }))
  chmodSync(root, 0o711)
  expect(asNobody(root, 'scan')).toMatchObject({ failed: 'LOCATION_DENIED' })
})

test('a location that names one file is that file, and its path is the base name', async () => {
  const root = tree({ 'one.bin': 'abc', 'one.bin.part': 'no' })
  const { spans, entries } = await using(`${root}one.bin`, (store) => pass(store))
  expect(spans).toHaveLength(1)
  expect(spans[0]).toMatchObject({ cover: { after: '' }, seen: 1, settled: true, end: { lone: ['one.bin'] } })
  expect(entries).toMatchObject([{ path: 'one.bin', sizeBytes: 3 }])
})

test('a location without a slash that is a folder is walked', async () => {
  const root = tree({ 'dir/a': '', 'dir2/b': '' })
  const { entries, end } = await using(`${root}dir`, (store) => pass(store))
  expect(entries.map(({ path }) => path)).toEqual(['a'])
  expect(end?.lone).toEqual([])
})

test('a lone FIFO is named, and not opened', async () => {
  const root = tree()
  execFileSync('mkfifo', [`${root}pipe`])
  const { entries, skipped } = await using(`${root}pipe`, (store) => pass(store))
  expect(entries).toEqual([])
  expect(skipped).toEqual([{ path: 'pipe', reason: 'fifo' }])
})

test('a walk that is told to stop throws, and one that is left half-way holds nothing', async () => {
  const root = tree(Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`d${index}/f`, ''])))
  await using(root, async (store) => {
    const stop = new AbortController()
    const walked = (async () => {
      for await (const span of store.scan(later(), stop.signal)) if (span.seen >= 0) stop.abort()
    })()
    await expect(walked).rejects.toMatchObject({ name: 'AbortError' })
    for await (const span of store.scan(later(), going)) if (span.seen >= 0) break
    expect((await pass(store)).entries).toHaveLength(600)
  })
})
