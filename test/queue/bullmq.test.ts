// needs: redis
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Queue as Producer, Worker } from 'bullmq'
import type { DeduplicationOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { bullmqQueue } from '../../src/queue/bullmq.ts'
import { Troubles } from '../../src/queue/redis.ts'
import type { Queue } from '../../src/queue/queue.ts'
import { freePort, start } from '../components.ts'
import type { Running } from '../components.ts'
import { bounded, covering, queueSuite, until } from '../suite/queue.ts'

let redis: Running
let ids = 0
const open: Queue[] = []

beforeAll(async () => void (redis = await start('redis')) as undefined, 60_000)
afterAll(() => redis.stop())
afterEach(async () => {
  for (const queue of open.splice(0)) await queue.close()
}, 30_000)

const fresh = (): string => `registry-${process.pid}-${ids++}`

async function opened(registryId: string, warnings: string[] = [], url = redis.url): Promise<Queue> {
  const queue = await bullmqQueue({ url, registryId, log: { warn: (fields) => void warnings.push(String(fields['trouble'] ?? fields['advice'])) } })
  open.push(queue)
  return queue
}

/** Works until the test ends, and tells of each look. */
function working(queue: Queue, looks: string[], act: (signal: AbortSignal) => Promise<number | undefined> = async () => undefined): { end(): Promise<void> } {
  const stop = new AbortController()
  const done = queue.work((watch, signal) => {
    looks.push(watch)
    return act(signal)
  }, 2, stop.signal)
  return {
    end: () => {
      stop.abort()
      return done
    },
  }
}

describe('the queue of many processes', () => queueSuite(() => opened(fresh())))

describe('what is planted is caught', () => {
  test('plain deduplication loses the wake that comes during a look', async () => {
    const planted = plant({ id: 'one' })
    await expect(covering(planted)).rejects.toThrow(/2 looks at one/)
    await planted.close()
  }, 30_000)
  test('a delay that begins anew with each wake is put off for ever', async () => {
    const planted = plant({ id: 'one', ttl: 5_000, extend: true, replace: true })
    await expect(bounded(planted)).rejects.toThrow(/>= 3/)
    await planted.close()
  }, 30_000)
})

/** The queue as one would write it first. */
function plant(deduplication: DeduplicationOptions): Queue {
  const name = fresh()
  const connection = { url: redis.url, maxRetriesPerRequest: null }
  const producer = new Producer(name, { connection })
  const workers: Worker[] = []
  return {
    wake: async (watch, delay) => void (await producer.add('look', { watch }, { deduplication, delay })),
    work: async (look, concurrency, signal) => {
      workers.push(new Worker(name, async (job) => look((job.data as { watch: string }).watch, signal), { connection, concurrency }))
    },
    trouble: () => undefined,
    advice: () => undefined,
    close: async () => {
      for (const worker of workers) await worker.close(true)
      await producer.close()
    },
  }
}

describe('many processes', () => {
  test('one watch is looked at one at a time, by whichever worker', async () => {
    const id = fresh()
    let at = 0
    let most = 0
    const looks: string[] = []
    const act = async (): Promise<undefined> => {
      most = Math.max(most, ++at)
      await sleep(30)
      at--
    }
    const queues = [await opened(id), await opened(id)]
    const workers = queues.map((queue) => working(queue, looks, act))
    for (let n = 0; n < 60; n++) {
      await queues[n % 2]?.wake('one', n % 5)
      await sleep(5)
    }
    await sleep(300)
    await Promise.all(workers.map((worker) => worker.end()))
    expect([most, looks.length > 2]).toEqual([1, true])
  }, 20_000)
  test('two registries on one Redis do not meet', async () => {
    const [one, other] = [await opened(fresh()), await opened(fresh())]
    const looks: string[] = []
    const worker = working(other, looks)
    await one.wake('mine', 0)
    await other.wake('theirs', 0)
    await until(() => looks.length > 0, 'a look')
    await sleep(200)
    await worker.end()
    expect(looks).toEqual(['theirs'])
  })
  test('a look whose worker stops is looked at by another at once', async () => {
    const id = fresh()
    const [one, other] = [await opened(id), await opened(id)]
    const looks: string[] = []
    const first = working(one, looks, async (signal) => void (await once(signal, 'abort')) as undefined)
    await one.wake('it', 0)
    await until(() => looks.length === 1, 'the first look')
    const second = working(other, looks)
    await first.end()
    await until(() => looks.length === 2, 'the second look', 2_000)
    await second.end()
  })
  test('a look whose worker is killed is looked at again by another', async () => {
    const id = fresh()
    const queue = await opened(id)
    const victim = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'victim.ts'), redis.url, id], { stdio: ['ignore', 'pipe', 'inherit'] })
    await queue.wake('it', 0)
    const [said] = (await once(victim.stdout, 'data')) as [Buffer]
    expect(String(said)).toBe('looking it\n')
    const looks: string[] = []
    const worker = working(queue, looks)
    victim.kill('SIGKILL')
    await until(() => looks.length === 1, 'the look of another', 40_000)
    await worker.end()
  }, 60_000)
  test('what a killed worker left active is looked at as soon as the one process that works comes back, whatever its lock says; a wake that came meanwhile, too', async () => {
    const id = fresh()
    const queue = await opened(id)
    const victim = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'victim.ts'), redis.url, id], { stdio: ['ignore', 'pipe', 'inherit'] })
    await queue.wake('it', 0)
    await once(victim.stdout, 'data')
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    const admin = new Redis(redis.url)
    const [lock = ''] = await admin.keys(`*${id}:*:lock`)
    // No lock of the dead expires while this runs.
    expect(await admin.pexpire(lock, 3_600_000)).toBe(1)
    await queue.wake('it', 0)
    const looks: string[] = []
    const next = await bullmqQueue({ url: redis.url, registryId: id, alone: true, log: { warn: () => undefined } })
    open.push(next)
    const worker = working(next, looks)
    await until(() => looks.length === 2, 'a look for each wake', 30_000)
    // Once only: what is active later is its own.
    await next.wake('it', 0)
    await until(() => looks.length === 3, 'it goes on', 30_000)
    await worker.end()
    expect(await admin.exists(...['active', 'wait', 'delayed'].map((type) => `varve:${id}:${type}`))).toBe(0)
    admin.disconnect()
  }, 60_000)
  test('a look whose lock is lost is told to stop, and is looked at again', async () => {
    const id = fresh()
    const queue = await opened(id)
    const looks: string[] = []
    let told = 0
    const worker = working(queue, looks, async (signal) => {
      if (looks.length > 1) return
      await once(signal, 'abort')
      told++
    })
    await queue.wake('it', 0)
    await until(() => looks.length === 1, 'the first look')
    const admin = new Redis(redis.url)
    const locks = await admin.keys(`*${id}:*:lock`)
    expect(locks).toHaveLength(1)
    await admin.del(...locks)
    await until(() => told === 1, 'the look is told to stop', 20_000)
    await until(() => looks.length === 2, 'the second look', 30_000)
    admin.disconnect()
    await worker.end()
  }, 60_000)
})

describe('what a queue leaves behind', () => {
  test('no job once all is looked at, and no connection once it is closed', async () => {
    const id = fresh()
    const admin = new Redis(redis.url)
    const clients = async (): Promise<number> => String(await admin.client('LIST')).trim().split('\n').length
    const before = await clients()
    const queue = await opened(id)
    const looks: string[] = []
    const worker = working(queue, looks)
    for (let n = 0; n < 10; n++) await queue.wake(`watch ${n}`, 0)
    await until(() => looks.length === 10, 'ten looks')
    await worker.end()
    const keys = (await admin.keys(`*${id}*`)).map((key) => key.slice(key.lastIndexOf(':') + 1)).sort()
    expect(keys.filter((key) => !['events', 'id', 'meta', 'marker', 'stalled-check'].includes(key))).toEqual([])
    expect(await clients()).toBeGreaterThan(before)
    await queue.close()
    await sleep(100)
    expect(await clients()).toBe(before)
    admin.disconnect()
  })
})

describe('without Redis', () => {
  const promptly = async (queue: Queue): Promise<void> => {
    const start = performance.now()
    await expect(queue.wake('one', 0)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    expect(performance.now() - start).toBeLessThan(2_500)
  }

  test('a queue on a Redis that is not there opens, says so, rejects a wake in time, and begins when it comes', async () => {
    const own = await start('redis')
    await own.kill()
    const warnings: string[] = []
    const queue = await opened(fresh(), warnings, own.url)
    expect(queue.trouble()).toMatch(/Redis does not answer/)
    const looks: string[] = []
    const worker = working(queue, looks)
    await promptly(queue)
    expect(warnings.length).toBeLessThanOrEqual(2)
    await own.restart()
    await until(() => queue.trouble() === undefined, 'the trouble is over', 10_000)
    await queue.wake('one', 0)
    await until(() => looks.length === 1, 'a look', 10_000)
    await worker.end()
    await queue.close()
    await own.stop()
  }, 40_000)
  test('a Redis that is killed and comes back is worked on: wakes are rejected in time meanwhile', async () => {
    const own = await start('redis')
    const queue = await opened(fresh(), [], own.url)
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('before', 0)
    await until(() => looks.length === 1, 'a look before')
    await own.kill()
    await promptly(queue)
    await until(() => /Redis does not answer/.test(queue.trouble() ?? ''), 'the trouble is told')
    await sleep(1_000)
    await own.restart()
    await until(() => queue.trouble() === undefined, 'the trouble is over', 10_000)
    await queue.wake('after', 0)
    await until(() => looks.includes('after'), 'a look after', 15_000)
    await worker.end()
    await queue.close()
    await own.stop()
  }, 60_000)
  test('a Redis that asks for a password when it is back refuses: that is said once, and no more that the connection is lost; when it is gone again, that', async () => {
    const own = await start('redis')
    const warnings: string[] = []
    const queue = await opened(fresh(), warnings, own.url)
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('one', 0)
    await until(() => looks.length === 1, 'a look')
    const admin = new Redis(own.url)
    await admin.config('SET', 'requirepass', 'secret')
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(() => queue.trouble()?.includes('NOAUTH') === true, 'the refusal', 15_000)
    expect(queue.trouble()).toMatch(/^Redis refuses: NOAUTH .*user and password in the URL of queue/)
    // It tries again and again meanwhile: each time it is refused, and then cut.
    await sleep(2_000)
    expect(warnings.filter((words) => words.includes('NOAUTH'))).toHaveLength(1)
    expect(queue.trouble()).toMatch(/^Redis refuses: NOAUTH [^;]*$/)
    admin.disconnect()
    await own.kill()
    await until(() => queue.trouble()?.includes('NOAUTH') === false, 'it is gone', 15_000)
    expect(queue.trouble()).toMatch(/^Redis does not answer: [^;]*ECONNREFUSED/)
    await worker.end()
    await queue.close()
    await own.stop()
  }, 60_000)
  test('a Redis that hangs makes no wake hang, and goes on', async () => {
    const own = await start('redis')
    const queue = await opened(fresh(), [], own.url)
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('before', 0)
    await until(() => looks.length === 1, 'a look before')
    own.pause()
    await promptly(queue)
    await promptly(queue)
    own.resume()
    await sleep(200)
    await queue.wake('after', 0)
    await until(() => looks.includes('after'), 'a look after', 15_000)
    await worker.end()
    await queue.close()
    await own.stop()
  }, 60_000)
  test('a queue closes in time though Redis is gone, or hangs', async () => {
    for (const fail of ['kill', 'pause'] as const) {
      const own = await start('redis')
      const queue = await opened(fresh(), [], own.url)
      const looks: string[] = []
      const worker = working(queue, looks)
      await queue.wake('one', 0)
      await until(() => looks.length === 1, 'a look')
      await sleep(100)
      await own[fail]()
      const start_ = performance.now()
      await Promise.all([worker.end(), queue.close()])
      expect(performance.now() - start_).toBeLessThan(12_000)
      await own.stop()
    }
  }, 60_000)
})

describe('what is asked of Redis', () => {
  test('one trouble is said once, whichever script of the library met it', () => {
    const warnings: string[] = []
    const troubles = new Troubles({ warn: (fields) => void warnings.push(String(fields['trouble'])) })
    for (const letter of 'abab') troubles.set('worker', `OOM command not allowed when used memory > 'maxmemory'. script: ${letter.repeat(40)}, on @user_script:12.`)
    expect(warnings).toEqual(["OOM command not allowed when used memory > 'maxmemory'."])
    expect(troubles.toString()).toBe(warnings[0])
  })
  test('a database that is not there is refused, and no other is written to', async () => {
    const url = new URL(redis.url)
    url.pathname = '/99'
    await expect(opened(fresh(), [], url.href)).rejects.toMatchObject({ code: 'QUEUE_REFUSED', message: expect.stringMatching(/database 99/), hint: expect.stringMatching(/correct the database/) })
  })

  test('an old Redis is refused', async () => {
    const server = createServer((socket) => {
      const info = '# Server\r\nredis_version:6.0.16\r\nloading:0\r\n'
      socket.on('data', (bytes) => {
        for (const command of String(bytes).match(/\*\d+\r\n/g) ?? []) if (command) socket.write(/info/i.test(String(bytes)) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n')
      }).on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}/0`
    await expect(opened(fresh(), [], url)).rejects.toMatchObject({ code: 'QUEUE_REFUSED', message: expect.stringMatching(/6\.0\.16/), hint: expect.stringMatching(/6\.2/) })
    server.close()
  })
  test('a Redis that evicts, and one that keeps no log, are used with a warning that says what may be lost', async () => {
    const own = await start('redis', ['--maxmemory-policy', 'allkeys-lru', '--appendonly', 'no'])
    const warnings: string[] = []
    const queue = await opened(fresh(), warnings, own.url)
    expect(queue.advice()).toMatch(/allkeys-lru.*nothing else is lost.*noeviction; appendonly.*nothing else is lost/)
    expect(warnings).toEqual([queue.advice()])
    expect(queue.trouble()).toBeUndefined()
    const printed = jest.spyOn(globalThis.console, 'warn').mockImplementation(() => undefined)
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('one', 0)
    await until(() => looks.length === 1, 'a look')
    await worker.end()
    await queue.close()
    await own.stop()
    // The library underneath has a word of its own for it.
    expect(printed.mock.calls).toEqual([])
    printed.mockRestore()
  }, 30_000)
  test('a Redis that denies INFO is used, and that nothing could be checked is said', async () => {
    const admin = new Redis(redis.url)
    await admin.call('ACL', 'SETUSER', 'blind', 'on', '>secret', '~*', '&*', '+@all', '-info')
    const warnings: string[] = []
    const printed = jest.spyOn(globalThis.console, 'warn').mockImplementation(() => undefined)
    const queue = await opened(fresh(), warnings, redis.url.replace('redis://', 'redis://blind:secret@'))
    expect(queue.advice()).toMatch(/INFO is denied/)
    expect(queue.trouble()).toBeUndefined()
    expect(warnings.join()).not.toMatch(/secret/)
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('one', 0)
    await until(() => looks.length === 1, 'a look')
    await worker.end()
    admin.disconnect()
    expect(printed.mock.calls).toEqual([])
    printed.mockRestore()
  }, 30_000)
  test('wrong credentials are said without showing them', async () => {
    const queue = await opened(fresh(), [], redis.url.replace('redis://', 'redis://nobody:hidden@'))
    expect(queue.trouble()).toMatch(/WRONGPASS/)
    expect(queue.trouble()).not.toMatch(/hidden/)
  })
})

test('a worker that does not hear any more is replaced', async () => {
  const id = fresh()
  const hears = Worker.prototype.getNextJob
  const prototype = Worker.prototype as unknown as { _getNextJob: typeof hears }
  const whole = prototype._getNextJob
  let deaf = true
  // The first worker waits for ever; one that starts after the plant is gone hears.
  prototype._getNextJob = function (this: Worker, ...args: Parameters<typeof hears>) {
    return deaf ? new Promise(() => undefined) : whole.apply(this, args)
  }
  const queue = await bullmqQueue({ url: redis.url, registryId: id, log: { warn: () => void (deaf = false) }, clock: { sleep: (ms, signal) => sleep(Math.min(ms, 1_000), undefined, signal === undefined ? {} : { signal }).catch(() => undefined) } })
  try {
    const looks: string[] = []
    const worker = working(queue, looks)
    await queue.wake('one', 0)
    await until(() => looks.length === 1, 'a look by the next worker', 60_000)
    void worker
  } finally {
    prototype._getNextJob = whole
    await queue.close()
  }
}, 90_000)

test('a free port is no Redis', async () => {
  const queue = await opened(fresh(), [], `redis://127.0.0.1:${await freePort()}/0`)
  expect(queue.trouble()).toMatch(/ECONNREFUSED/)
})
