// Preloaded into a daemon (`node --import`): kills it at a named point of the way of a change, so that the daemon itself needs no hooks.
// CRASH_AT is `point:n`; the n-th passing of the point is the last thing that the process does.
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'

const [point, times] = (process.env['CRASH_AT'] ?? 'never:1').split(':')
let left = Number(times)

function pass(name: string): void {
  if (name === point && --left === 0) process.kill(process.pid, 'SIGKILL')
}

interface Command {
  readonly constructor: { readonly name: string }
}
type Send = (command: Command, ...rest: readonly unknown[]) => Promise<{ readonly Messages?: readonly unknown[] }>

function around(client: { readonly prototype: unknown }, before: (name: string) => void, after: (name: string, answer: Awaited<ReturnType<Send>>) => void): void {
  const prototype = client.prototype as { send: Send }
  const send = prototype.send
  prototype.send = async function (this: unknown, command, ...rest) {
    before(command.constructor.name)
    const answer = await send.call(this, command, ...rest)
    after(command.constructor.name, answer)
    return answer
  }
}

around(SQSClient, (name) => {
  if (name === 'DeleteMessageBatchCommand') pass('before-ack')
}, (name, answer) => {
  if (name === 'ReceiveMessageCommand' && (answer.Messages?.length ?? 0) > 0) pass('before-mark')
  if (name === 'DeleteMessageBatchCommand') pass('after-ack')
})
around(S3Client, () => undefined, (name) => {
  if (name.startsWith('ListObject')) pass('mid-list')
})

// Loaded where it is used alone: it takes a third of a second.
if (process.env['PUBSUB_EMULATOR_HOST'] !== undefined) {
  const { v1 } = await import('@google-cloud/pubsub')
  const prototype = v1.SubscriberClient.prototype as unknown as { acknowledge: (this: unknown, ...words: unknown[]) => Promise<unknown> }
  const { acknowledge } = prototype
  prototype.acknowledge = async function (this: unknown, ...words) {
    pass('before-ack')
    const answer = await acknowledge.apply(this, words)
    pass('after-ack')
    return answer
  }
}

const post = Worker.prototype.postMessage
Worker.prototype.postMessage = function (this: Worker, message: unknown, ...rest) {
  post.call(this, message, ...rest)
  if ((message as { readonly kind?: string }).kind === 'read') pass('mid-hash')
}

// The registry has a thread of its own, which is preloaded like this one.
let versionWritten = false
type All = (this: StatementSync, ...values: unknown[]) => ReturnType<StatementSync['all']>
const all = StatementSync.prototype.all as All
StatementSync.prototype.all = function (this: StatementSync, ...values: unknown[]) {
  const rows = all.apply(this, values)
  if (this.sourceSQL.includes('INSERT INTO version(')) {
    versionWritten = true
    pass('mid-commit')
  }
  return rows
}
const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function (this: DatabaseSync, text: string) {
  const commits = text === 'COMMIT' && versionWritten
  if (commits) pass('before-commit')
  exec.call(this, text)
  if (text === 'COMMIT') versionWritten = false
  if (commits) pass('after-commit')
}
