import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, chmodSync, closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, jest, test } from '@jest/globals'
import { asNobody } from './nobody.ts'
import { fell, gather, going, later, pass, tree, using } from './tree.ts'

afterEach(fell)
jest.setTimeout(30_000)

const md5 = (bytes: string | Buffer): string => `md5:${createHash('md5').update(bytes).digest('base64')}`
const BIG = 300 * 1024 * 1024

test('every file is hashed once, whatever its size, and its digest is the base64 MD5 of its bytes', async () => {
  const sizes = [0, 0, 1, 55, 56, 63, 64, 16_383, 16_384, 16_385, 65_536, 262_144, 262_145, 5_000_000, ...Array.from({ length: 300 }, (_, index) => index * 37)]
  const files = Object.fromEntries(sizes.map((size, index) => [`d${index % 9}/f${index}`, String(index).padEnd(size, 'xyz').slice(0, size)]))
  const root = tree(files)
  await using(root, async (store) => {
    const { entries } = await pass(store)
    const found = await gather(store.inspect(entries, later(), going))
    expect(found).toEqual(entries.map((listed) => ({ kind: 'entry', listed: { ...listed, content: { digest: md5(files[listed.path] as string) } } })))
  })
})

test('one file, two files and three files have the same digests alone as together', async () => {
  const root = tree({ a: 'first', b: 'second', c: '', d: 'x'.repeat(100_000) })
  await using(root, async (store) => {
    const { entries } = await pass(store)
    const together = await gather(store.inspect(entries, later(), going))
    for (let count = 1; count <= 4; count++) expect(await gather(store.inspect(entries.slice(0, count), later(), going))).toEqual(together.slice(0, count))
  })
})

test('a file without fingerprint is hashed too, and gains none while it is young', async () => {
  const root = tree({ young: 'x' })
  await using(root, async (store) => {
    const startMs = Date.now()
    const { entries } = await pass(store, startMs)
    expect(await gather(store.inspect(entries, startMs, going))).toEqual([{ kind: 'entry', listed: { path: 'young', sizeBytes: 1, content: { digest: md5('x') } } }])
  })
})

test('what became of a file since it was listed is told: changed, gone, a folder, a FIFO, a link to nothing', async () => {
  const root = tree({ changed: 'before', gone: '', folder: '', fifo: '', dangling: '', loop: '', linked: '', same: 'same', lost: '' })
  await using(root, async (store) => {
    const { entries } = await pass(store)
    for (const name of ['gone', 'folder', 'fifo', 'dangling', 'loop', 'linked', 'lost']) rmSync(root + name)
    writeFileSync(`${root}changed`, 'after it all')
    mkdirSync(`${root}folder`)
    execFileSync('mkfifo', [`${root}fifo`])
    symlinkSync('nowhere', `${root}dangling`)
    symlinkSync('loop', `${root}loop`)
    symlinkSync('folder', `${root}linked`)
    const found = await gather(store.inspect(entries, later(), going))
    expect(found).toEqual([
      { kind: 'entry', listed: { path: 'changed', sizeBytes: 12, fingerprint: expect.any(String), content: { digest: md5('after it all') } } },
      { kind: 'skipped', skip: { path: 'dangling', reason: 'dangling-symlink' } },
      { kind: 'skipped', skip: { path: 'fifo', reason: 'fifo' } },
      { kind: 'directory', path: 'folder' },
      { kind: 'absent', path: 'gone' },
      { kind: 'skipped', skip: { path: 'linked', reason: 'symlink-directory' } },
      { kind: 'skipped', skip: { path: 'loop', reason: 'loop' } },
      { kind: 'absent', path: 'lost' },
      { kind: 'entry', listed: { ...entries.find(({ path }) => path === 'same'), content: { digest: md5('same') } } },
    ])
    const fresh = await pass(store)
    expect(fresh.entries.find(({ path }) => path === 'changed')?.fingerprint).toBe(found[0]?.kind === 'entry' ? found[0].listed.fingerprint : undefined)
  })
})

test('a file replaced by rename with the same size and mtime is seen as the new one', async () => {
  const root = tree({ file: 'old bytes' })
  await using(root, async (store) => {
    const { entries } = await pass(store)
    writeFileSync(`${root}next`, 'new bytes')
    execFileSync('touch', ['-r', `${root}file`, `${root}next`])
    renameSync(`${root}next`, `${root}file`)
    expect(await gather(store.inspect(entries, later(), going))).toMatchObject([{ kind: 'entry', listed: { content: { digest: md5('new bytes') } } }])
  })
})

test('a file that grows while it is read is torn', async () => {
  const root = tree({ growing: '', still: 'still' })
  truncateSync(`${root}growing`, BIG)
  const writer = setInterval(() => appendFileSync(`${root}growing`, 'more'), 5)
  try {
    await using(root, async (store) => {
      const { entries } = await pass(store, Date.now())
      expect(await gather(store.inspect(entries, Date.now(), going))).toMatchObject([{ kind: 'torn', path: 'growing' }, { kind: 'entry' }])
    })
  } finally {
    clearInterval(writer)
  }
})

test('a file truncated while it is read is torn, and one rewritten in place too', async () => {
  const root = tree({ cut: '', rewritten: '' })
  for (const name of ['cut', 'rewritten']) truncateSync(root + name, BIG)
  await using(root, async (store) => {
    const { entries } = await pass(store, Date.now())
    const found = gather(store.inspect(entries, Date.now(), going))
    await sleep(100)
    truncateSync(`${root}cut`, 1000)
    const fd = openSync(`${root}rewritten`, 'r+')
    ftruncateSync(fd, BIG)
    closeSync(fd)
    expect(await found).toEqual([{ kind: 'torn', path: 'cut' }, { kind: 'torn', path: 'rewritten' }])
  })
})

test('a large file among small ones keeps its digest', async () => {
  const root = tree(Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`f${index}`, `${index}`.repeat(1000 * index)])))
  writeFileSync(`${root}large`, Buffer.alloc(30_000_000, 'large'))
  await using(root, async (store) => {
    const { entries } = await pass(store)
    const found = await gather(store.inspect(entries, later(), going))
    expect(found).toHaveLength(21)
    for (const one of found) if (one.kind === 'entry') expect(one.listed.content?.digest).toBe(md5(readFileSync(root + one.listed.path)))
  })
})

test('a walk and several inspections go on at the same time', async () => {
  const files = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`d${index % 100}/f${index}`, `${index}`]))
  await using(tree(files), async (store) => {
    const { entries } = await pass(store)
    const order: string[] = []
    const [first, second, third] = await Promise.all([
      gather(store.inspect(entries.slice(0, 1_000), later(), going)).finally(() => order.push('read')),
      gather(store.inspect(entries.slice(1_000), later(), going)).finally(() => order.push('read')),
      pass(store).finally(() => order.push('walk')),
    ])
    expect([...first, ...second].map((one) => one.kind === 'entry' && one.listed.content?.digest)).toEqual(entries.map(({ path }) => md5(files[path] as string)))
    expect(third.entries).toEqual(entries)
  })
})

test('find tells of each path once, as a walk would list it', async () => {
  const root = tree({ 'a/file': 'x', 'lost+found/in': '', 'a/.nfs1': '', 'b/real': 'y' })
  symlinkSync('b', `${root}link`)
  symlinkSync('a/file', `${root}to-file`)
  execFileSync('mkfifo', [`${root}pipe`])
  const paths = ['a/file', 'a', 'a/gone', 'gone/at/all', 'lost+found', 'lost+found/in', 'a/.nfs1', 'link', 'link/real', 'to-file', 'pipe', 'a/file/below', '../etc', 'b//real', './b', 'n'.repeat(300)]
  await using(root, async (store) => {
    const found = await gather(store.find(paths, later(), going))
    const listed = new Map((await pass(store)).entries.map((entry) => [entry.path, entry]))
    expect(Object.fromEntries(found.map((one) => (one.kind === 'entry' ? [one.listed.path, one.listed] : one.kind === 'skipped' ? [one.skip.path, one.skip.reason] : [one.path, one.kind])))).toEqual({
      'a/file': { ...listed.get('a/file'), content: { digest: md5('x') } },
      'to-file': { ...listed.get('to-file'), content: { digest: md5('x') } },
      a: 'directory', 'a/gone': 'absent', 'gone/at/all': 'absent', 'lost+found': 'left-out', 'lost+found/in': 'absent', 'a/.nfs1': 'left-out', link: 'symlink-directory',
      'link/real': 'absent', pipe: 'fifo', 'a/file/below': 'absent', '../etc': 'absent', 'b//real': 'absent', './b': 'absent', ['n'.repeat(300)]: 'too-long',
    })
  })
})

test('of a lone object only its own name is found, whatever lies beside it', async () => {
  const root = tree({ one: 'x', other: 'y' })
  await using(`${root}one`, async (store) => {
    const found = await gather(store.find(['one', 'other', 'one/in'], later(), going))
    expect(found).toMatchObject([{ kind: 'entry', listed: { path: 'one', content: { digest: md5('x') } } }, { kind: 'absent', path: 'one/in' }, { kind: 'absent', path: 'other' }])
    const { entries } = await pass(store)
    expect(await gather(store.inspect(entries, later(), going))).toEqual([{ kind: 'entry', listed: { ...entries[0], content: { digest: md5('x') } } }])
    rmSync(`${root}one`)
    expect(await gather(store.find(['one'], later(), going))).toEqual([{ kind: 'absent', path: 'one' }])
  })
})

test('a file that may not be read is skipped as unreadable', () => {
  const root = tree({ secret: 'x', open: 'y', 'closed/in': 'z', 'closed/deep/in': 'z' })
  chmodSync(root, 0o755)
  chmodSync(`${root}secret`, 0o600)
  chmodSync(`${root}closed`, 0o700)
  const expected = { secret: 'unreadable', open: 'entry', 'closed/in': 'unreadable', 'closed/deep/in': 'unreadable' }
  expect(asNobody(root, 'inspect', 'secret', 'open', 'closed/in', 'closed/deep/in')).toEqual(expected)
  expect(asNobody(root, 'find', 'secret', 'open', 'closed/in', 'closed/deep/in')).toEqual(expected)
})

test('nothing is asked, nothing is found', async () => {
  await using(tree(), async (store) => {
    expect(await gather(store.find([], later(), going))).toEqual([])
    expect(await gather(store.inspect([], later(), going))).toEqual([])
  })
})

test('reading that is told to stop throws at once, and closing ends what still goes on', async () => {
  const root = tree({ large: '' })
  truncateSync(`${root}large`, 4 * 1024 ** 3)
  await using(root, async (store) => {
    const { entries } = await pass(store)
    const stop = new AbortController()
    const found = gather(store.inspect(entries, later(), stop.signal))
    setTimeout(() => stop.abort(), 50)
    await expect(found).rejects.toMatchObject({ name: 'AbortError' })
    const going2 = expect(gather(store.inspect(entries, later(), going))).rejects.toMatchObject({ code: 'STORAGE_UNAVAILABLE' })
    await sleep(20)
    await store.close()
    await going2
  })
})

test('reading changes neither bytes nor times of modification, and writes nothing', async () => {
  const root = tree({ 'a/b': 'x', c: 'y' })
  const state = (): string => execFileSync('find', [root, '-printf', '%p %s %T@ %C@ %m %n\n'], { encoding: 'utf8' })
  const before = state()
  await using(root, async (store) => {
    await store.root(going)
    await gather(store.inspect((await pass(store)).entries, later(), going))
  })
  expect(state()).toBe(before)
})
